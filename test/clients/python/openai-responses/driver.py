from openai import OpenAI
from pydantic import BaseModel

from told import QUESTION, TOOL, arguments, run

FUNCTION = {"type": "function", **TOOL["function"], "strict": False}


def client(base_url, told):
    return OpenAI(base_url=base_url, api_key=told["key"], max_retries=0)


def counts(usage):
    return usage and {"input": usage.input_tokens, "output": usage.output_tokens}


def described(answer):
    """The whole answer, however it came. Its own words for a good end are those of a status."""
    return {
        "text": answer.output_text,
        "finish": "stop" if answer.status == "completed" else str(answer.incomplete_details or answer.status),
        "usage": counts(answer.usage),
        "calls": [
            {"id": item.call_id, "name": item.name, "arguments": arguments(item.arguments)}
            for item in answer.output
            if item.type == "function_call"
        ],
    }


def whole(base_url, told, **more):
    answer = client(base_url, told).responses.create(model=told["model"], input=QUESTION, store=False, **more)
    return described(answer)


def stream(base_url, told, **more):
    """By the helper, which gathers the events; what fails in the stream is an event of its own."""
    text = ""
    with client(base_url, told).responses.stream(model=told["model"], input=QUESTION, store=False, **more) as events:
        for event in events:
            if event.type == "response.output_text.delta":
                text += event.delta
            if event.type == "response.failed":
                raise RuntimeError(event.response.error.message)
        got = described(events.get_final_response())
    return {**got, "text": text}


class City(BaseModel):
    city: str


def structured(base_url, told):
    answer = client(base_url, told).responses.parse(
        model=told["model"], input=QUESTION, store=False, text_format=City
    )
    return {"value": answer.output_parsed.model_dump()}


run(
    {
        "text": whole,
        "stream": stream,
        "tools": lambda base_url, told: whole(base_url, told, tools=[FUNCTION]),
        "streamTools": lambda base_url, told: stream(base_url, told, tools=[FUNCTION]),
        "structured": structured,
    }
)
