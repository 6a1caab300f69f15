from openai import OpenAI
from pydantic import BaseModel

from told import MESSAGES, TOOL, arguments, run


def client(base_url, told):
    return OpenAI(base_url=base_url, api_key=told["key"], max_retries=0)


def counts(usage):
    return usage and {"input": usage.prompt_tokens, "output": usage.completion_tokens}


def calls(message):
    return [
        {"id": call.id, "name": call.function.name, "arguments": arguments(call.function.arguments)}
        for call in message.tool_calls or []
    ]


def whole(base_url, told, **more):
    answer = client(base_url, told).chat.completions.create(model=told["model"], messages=MESSAGES, **more)
    choice = answer.choices[0]
    return {
        "text": choice.message.content,
        "finish": choice.finish_reason,
        "usage": counts(answer.usage),
        "calls": calls(choice.message),
    }


def stream(base_url, told):
    more = {"stream_options": {"include_usage": True}} if told["usage"] else {}
    got = {"text": "", "finish": None, "usage": None}
    for chunk in client(base_url, told).chat.completions.create(
        model=told["model"], messages=MESSAGES, stream=True, **more
    ):
        got["usage"] = counts(chunk.usage) or got["usage"]
        for choice in chunk.choices:
            got["text"] += choice.delta.content or ""
            got["finish"] = choice.finish_reason or got["finish"]
    return got


def stream_tools(base_url, told):
    """By the helper, which gathers the chunks."""
    with client(base_url, told).chat.completions.stream(
        model=told["model"], messages=MESSAGES, tools=[TOOL]
    ) as events:
        for _ in events:
            pass
        choice = events.get_final_completion().choices[0]
    return {"finish": choice.finish_reason, "calls": calls(choice.message)}


class City(BaseModel):
    city: str


def structured(base_url, told):
    answer = client(base_url, told).chat.completions.parse(
        model=told["model"], messages=MESSAGES, response_format=City
    )
    return {"value": answer.choices[0].message.parsed.model_dump()}


run(
    {
        "text": whole,
        "stream": stream,
        "tools": lambda base_url, told: whole(base_url, told, tools=[TOOL]),
        "streamTools": stream_tools,
        "structured": structured,
    }
)
