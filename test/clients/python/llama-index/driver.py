from llama_index.core.bridge.pydantic import BaseModel
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

from told import QUESTION, run


def llm(base_url, told):
    return OpenAILike(
        model=told["model"],
        api_base=base_url,
        api_key=told["key"],
        is_chat_model=True,
        is_function_calling_model=True,
        should_use_structured_outputs=True,
        max_retries=0,
    )


def get_weather(city: str) -> str:
    """The weather."""
    return "sunny"


TOOL = FunctionTool.from_defaults(get_weather)


def told_of(model, answer):
    raw = answer.raw
    usage = getattr(raw, "usage", None)
    return {
        "text": answer.message.content,
        "finish": raw.choices[0].finish_reason if getattr(raw, "choices", None) else None,
        "usage": usage and {"input": usage.prompt_tokens, "output": usage.completion_tokens},
        "calls": [
            {"id": call.tool_id, "name": call.tool_name, "arguments": call.tool_kwargs}
            for call in model.get_tool_calls_from_response(answer, error_on_no_tool_call=False)
        ],
    }


def text(base_url, told):
    model = llm(base_url, told)
    answer = model.complete(QUESTION)
    raw = answer.raw
    return {
        "text": answer.text,
        "finish": raw.choices[0].finish_reason,
        "usage": {"input": raw.usage.prompt_tokens, "output": raw.usage.completion_tokens},
    }


def stream(base_url, told):
    model = llm(base_url, told)
    more = {"stream_options": {"include_usage": True}} if told["usage"] else {}
    got = {"text": "", "finish": None, "usage": None}
    for answer in model.stream_complete(QUESTION, **more):
        got["text"] = answer.text
        for choice in answer.raw.choices:
            got["finish"] = choice.finish_reason or got["finish"]
        if answer.raw.usage:
            got["usage"] = {"input": answer.raw.usage.prompt_tokens, "output": answer.raw.usage.completion_tokens}
    return got


def tools(base_url, told):
    model = llm(base_url, told)
    return told_of(model, model.chat_with_tools([TOOL], user_msg=QUESTION, allow_parallel_tool_calls=True))


def stream_tools(base_url, told):
    model = llm(base_url, told)
    answer = None
    for answer in model.stream_chat_with_tools([TOOL], user_msg=QUESTION, allow_parallel_tool_calls=True):
        pass
    return told_of(model, answer)


class City(BaseModel):
    city: str


def structured(base_url, told):
    return {"value": llm(base_url, told).as_structured_llm(City).complete(QUESTION).raw.model_dump()}


run({"text": text, "stream": stream, "tools": tools, "streamTools": stream_tools, "structured": structured})
