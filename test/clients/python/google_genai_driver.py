"""What the drivers of both major versions of `google-genai` do."""

import json

from google import genai
from google.genai import types

from told import PARAMETERS, QUESTION, run

TOOL = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(name="get_weather", description="The weather", parameters_json_schema=PARAMETERS)
    ]
)


def client(base_url, told):
    """To be kept while it is used: one that is collected closes its connections under its `models`."""
    options = types.HttpOptions(base_url=base_url.removesuffix("/v1"))
    return genai.Client(api_key=told["key"], http_options=options)


def asked(told, **config):
    by_hand = types.AutomaticFunctionCallingConfig(disable=True)
    config = types.GenerateContentConfig(automatic_function_calling=by_hand, **config)
    return {"model": told["model"], "contents": QUESTION, "config": config}


def described(answers):
    last = answers[-1]
    usage = last.usage_metadata
    parts = [part for answer in answers for part in answer.candidates[0].content.parts or []]
    return {
        "text": "".join(part.text or "" for part in parts),
        "finish": last.candidates[0].finish_reason.value,
        "usage": usage and {"input": usage.prompt_token_count, "output": usage.candidates_token_count},
        "calls": [
            {"id": part.function_call.id, "name": part.function_call.name, "arguments": part.function_call.args}
            for part in parts
            if part.function_call
        ],
    }


def whole(base_url, told, **config):
    kept = client(base_url, told)
    return described([kept.models.generate_content(**asked(told, **config))])


def stream(base_url, told, **config):
    kept = client(base_url, told)
    return described(list(kept.models.generate_content_stream(**asked(told, **config))))


def structured(base_url, told):
    answer = whole(base_url, told, response_mime_type="application/json", response_json_schema=PARAMETERS)
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
