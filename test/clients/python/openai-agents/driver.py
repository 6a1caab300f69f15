"""At its default, which is Responses."""

import asyncio

from agents import Agent, ModelSettings, OpenAIProvider, RunConfig, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI
from pydantic import BaseModel

from told import QUESTION, arguments, run

set_tracing_disabled(True)


@function_tool
def get_weather(city: str) -> str:
    """The weather."""
    return "sunny"


def config(base_url, told):
    client = AsyncOpenAI(base_url=base_url, api_key=told["key"], max_retries=0)
    return RunConfig(model_provider=OpenAIProvider(openai_client=client))


def agent(told, **more):
    return Agent(name="one", model=told["model"], model_settings=ModelSettings(store=False), **more)


def described(answer):
    items = [item.raw_item for item in answer.new_items if item.type == "tool_call_item"]
    usage = answer.context_wrapper.usage
    return {
        "text": answer.final_output if isinstance(answer.final_output, str) else None,
        "usage": {"input": usage.input_tokens, "output": usage.output_tokens},
        "calls": [{"id": item.call_id, "name": item.name, "arguments": arguments(item.arguments)} for item in items],
    }


def whole(base_url, told, **more):
    answer = Runner.run_sync(agent(told, **more), QUESTION, run_config=config(base_url, told))
    return described(answer)


def stream(base_url, told, **more):
    async def gathered():
        answer = Runner.run_streamed(agent(told, **more), QUESTION, run_config=config(base_url, told))
        async for _ in answer.stream_events():
            pass
        return described(answer)

    return asyncio.run(gathered())


class City(BaseModel):
    city: str


def structured(base_url, told):
    answer = Runner.run_sync(agent(told, output_type=City), QUESTION, run_config=config(base_url, told))
    return {"value": answer.final_output.model_dump()}


run(
    {
        "text": whole,
        "stream": stream,
        "tools": lambda base_url, told: whole(base_url, told, tools=[get_weather]),
        "streamTools": lambda base_url, told: stream(base_url, told, tools=[get_weather]),
        "structured": structured,
    }
)
