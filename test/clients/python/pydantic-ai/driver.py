from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from openai import AsyncOpenAI

from told import QUESTION, run


def model(base_url, told):
    client = AsyncOpenAI(base_url=base_url, api_key=told["key"], max_retries=0)
    return OpenAIChatModel(told["model"], provider=OpenAIProvider(openai_client=client))


def get_weather(city: str) -> str:
    """The weather."""
    return "sunny"


def agent(base_url, told, **more):
    return Agent(model(base_url, told), retries=0, **more)


def counts(usage):
    return {"input": usage.input_tokens, "output": usage.output_tokens}


def called(messages):
    parts = [part for message in messages for part in message.parts if isinstance(part, ToolCallPart)]
    return [{"id": part.tool_call_id, "name": part.tool_name, "arguments": part.args_as_dict()} for part in parts]


def text(base_url, told):
    answer = agent(base_url, told).run_sync(QUESTION)
    return {"text": answer.output, "finish": answer.response.finish_reason, "usage": counts(answer.usage)}


def stream(base_url, told):
    answer = agent(base_url, told).run_stream_sync(QUESTION)
    pieces = list(answer.stream_text(delta=True))
    return {"text": "".join(pieces), "finish": answer.response.finish_reason, "usage": counts(answer.usage)}


def tools(base_url, told):
    """The agent calls the tool and asks once more with its result."""
    answer = agent(base_url, told, tools=[get_weather]).run_sync(QUESTION)
    return {"text": answer.output, "calls": called(answer.all_messages())}


def stream_tools(base_url, told):
    answer = agent(base_url, told, tools=[get_weather]).run_stream_sync(QUESTION)
    pieces = list(answer.stream_text(delta=True))
    return {"text": "".join(pieces), "calls": called(answer.all_messages())}


class City(BaseModel):
    city: str


def structured(base_url, told):
    return {"value": agent(base_url, told, output_type=NativeOutput(City)).run_sync(QUESTION).output.model_dump()}


run({"text": text, "stream": stream, "tools": tools, "streamTools": stream_tools, "structured": structured})
