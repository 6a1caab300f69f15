import litellm
from pydantic import BaseModel

from told import MESSAGES, TOOL, arguments, run

litellm.suppress_debug_info = True


def completion(base_url, told, **more):
    return litellm.completion(
        model=f"openai/{told['model']}",
        api_base=base_url,
        api_key=told["key"],
        messages=MESSAGES,
        max_retries=0,
        num_retries=0,
        **more,
    )


def counts(answer):
    usage = getattr(answer, "usage", None)
    return usage and {"input": usage.prompt_tokens, "output": usage.completion_tokens}


def told_of(answer):
    choice = answer.choices[0]
    return {
        "text": choice.message.content,
        "finish": choice.finish_reason,
        "usage": counts(answer),
        "calls": [
            {"id": call.id, "name": call.function.name, "arguments": arguments(call.function.arguments)}
            for call in choice.message.tool_calls or []
        ],
    }


def streamed(base_url, told, **more):
    if told["usage"]:
        more["stream_options"] = {"include_usage": True}
    chunks = list(completion(base_url, told, stream=True, **more))
    return told_of(litellm.stream_chunk_builder(chunks, messages=MESSAGES))


class City(BaseModel):
    city: str


def structured(base_url, told):
    text = told_of(completion(base_url, told, response_format=City))["text"]
    return {"value": City.model_validate_json(text).model_dump()}


run(
    {
        "text": lambda base_url, told: told_of(completion(base_url, told)),
        "stream": streamed,
        "tools": lambda base_url, told: told_of(completion(base_url, told, tools=[TOOL])),
        "streamTools": lambda base_url, told: streamed(base_url, told, tools=[TOOL]),
        "structured": structured,
    }
)
