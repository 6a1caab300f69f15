"""A client that openapi-python-client made of /openapi.json: an answer, feedback by its kind, an error, a stream."""

import json

from conduit_client import AuthenticatedClient
from conduit_client.api.learning import feedback
from conduit_client.api.routing import chat_completions
from conduit_client.models import ChatCompletionChunk, ChatRequest, Error, FeedbackThumbs, FeedbackThumbsKind
from conduit_client.models import FeedbackThumbsValue, Message

from told import QUESTION, run


def client(base_url, told):
    return AuthenticatedClient(base_url=base_url.removesuffix("/v1"), token=told["key"])


def request(told):
    body = ChatRequest(messages=[Message(role="user", content=QUESTION)], model=told["model"])
    if told["usage"]:
        body["stream_options"] = {"include_usage": True}
    return body


def text(base_url, told):
    answered = chat_completions.sync_detailed(client=client(base_url, told), body=request(told))
    answer = answered.parsed
    if isinstance(answer, Error):
        status = int(answered.status_code)
        return {"error": {"class": answer.error.code, "status": status, "message": answer.error.message}}
    choice = answer.choices[0]
    usage = {"input": answer.usage.prompt_tokens, "output": answer.usage.completion_tokens}
    return {"text": choice.message.content, "finish": choice.finish_reason, "usage": usage}


def stream(base_url, told):
    """The generator reads no events: the client's own connection does, and the generated types read their data."""
    body = request(told)
    body.stream = True
    got = {"text": "", "finish": None, "usage": None}
    kwargs = chat_completions._get_kwargs(body=body)
    with client(base_url, told).get_httpx_client().stream(**kwargs) as answer:
        if answer.status_code != 200:
            answer.read()
            error = Error.from_dict(answer.json()).error
            return {"error": {"class": error.code, "status": answer.status_code, "message": error.message}}
        for line in answer.iter_lines():
            data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
            if data in ("", "[DONE]"):
                continue
            chunk = ChatCompletionChunk.from_dict(json.loads(data))
            if chunk.usage:
                got["usage"] = {"input": chunk.usage.prompt_tokens, "output": chunk.usage.completion_tokens}
            for choice in chunk.choices:
                got["text"] += choice.delta.content or ""
                got["finish"] = choice.finish_reason or got["finish"]
    return got


def feedback_by_kind(base_url, told):
    caller = client(base_url, told)
    answered = chat_completions.sync_detailed(client=caller, body=request(told))
    judged = feedback.sync(
        client=caller,
        body=FeedbackThumbs(
            kind=FeedbackThumbsKind.THUMBS,
            value=FeedbackThumbsValue.UP,
            decision_id=answered.headers["x-conduit-decision-id"],
        ),
    )
    return {"value": judged.status.value}


run({"text": text, "stream": stream, "feedback": feedback_by_kind})
