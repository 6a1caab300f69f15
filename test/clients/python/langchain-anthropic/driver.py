from langchain_anthropic import ChatAnthropic
from pydantic import BaseModel

from told import PARAMETERS, QUESTION, run

TOOL = {"name": "get_weather", "description": "The weather", "input_schema": PARAMETERS}


def model(base_url, told):
    return ChatAnthropic(
        model=told["model"],
        api_key=told["key"],
        base_url=base_url.removesuffix("/v1"),
        max_retries=0,
        max_tokens=1000,
        stream_usage=True,
    )


def described(message):
    usage = message.usage_metadata
    return {
        "text": message.text if isinstance(message.text, str) else message.text(),
        "finish": message.response_metadata.get("stop_reason"),
        "usage": usage and {"input": usage["input_tokens"], "output": usage["output_tokens"]},
        "calls": [{"id": call["id"], "name": call["name"], "arguments": call["args"]} for call in message.tool_calls],
    }


def whole(base_url, told, tools=None):
    asked = model(base_url, told)
    return described((asked.bind_tools(tools) if tools else asked).invoke(QUESTION))


def stream(base_url, told, tools=None):
    asked = model(base_url, told)
    gathered = None
    for chunk in (asked.bind_tools(tools) if tools else asked).stream(QUESTION):
        gathered = chunk if gathered is None else gathered + chunk
    return described(gathered)


class City(BaseModel):
    """Where it is."""

    city: str


def structured(base_url, told):
    return {"value": model(base_url, told).with_structured_output(City).invoke(QUESTION).model_dump()}


run(
    {
        "text": whole,
        "stream": stream,
        "tools": lambda base_url, told: whole(base_url, told, [TOOL]),
        "streamTools": lambda base_url, told: stream(base_url, told, [TOOL]),
        "structured": structured,
    }
)
