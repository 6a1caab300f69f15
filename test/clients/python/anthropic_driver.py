"""What the drivers of both major versions of `anthropic` do."""

import json

from anthropic import Anthropic

from told import MESSAGES, PARAMETERS, run

TOOL = {"name": "get_weather", "description": "The weather", "input_schema": PARAMETERS}
FORMAT = {"type": "json_schema", "schema": {**PARAMETERS, "additionalProperties": False}}


def client(base_url, told):
    return Anthropic(base_url=base_url.removesuffix("/v1"), api_key=told["key"], max_retries=0)


def asked(told, **more):
    return {"model": told["model"], "max_tokens": 1000, "messages": MESSAGES, **more}


def described(message):
    return {
        "text": "".join(block.text for block in message.content if block.type == "text"),
        "finish": message.stop_reason,
        "usage": {"input": message.usage.input_tokens, "output": message.usage.output_tokens},
        "calls": [
            {"id": block.id, "name": block.name, "arguments": block.input}
            for block in message.content
            if block.type == "tool_use"
        ],
    }


def whole(base_url, told, **more):
    return described(client(base_url, told).messages.create(**asked(told, **more)))


def stream(base_url, told, **more):
    """By the helper, which gathers the events."""
    with client(base_url, told).messages.stream(**asked(told, **more)) as events:
        text = "".join(events.text_stream)
        return {**described(events.get_final_message()), "text": text}


def structured(base_url, told):
    answer = whole(base_url, told, extra_body={"output_config": {"format": FORMAT}})
    return {"value": json.loads(answer["text"])}


def main():
    run(
        {
            "text": whole,
            "stream": stream,
            "tools": lambda base_url, told: whole(base_url, told, tools=[TOOL]),
            "streamTools": lambda base_url, told: stream(base_url, told, tools=[TOOL]),
            "structured": structured,
        }
    )
