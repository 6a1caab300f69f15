#!/usr/bin/env bash
# Two agent frameworks add up the usage of a stream's chunks, so servers that tell it so far in each chunk count many times.
#
# Versions: smolagents 1.26.0, agno 3.1.10, openai 3.57.0 (PyPI).
# Behaviour: OpenAI tells a stream's usage once, in the last chunk. vLLM (`continuous_usage_stats`), xAI and Perplexity tell in
#   every chunk what was used so far: the last one is the truth. Both frameworks take each for a part and add: a call of 100
#   and 7 tokens in five chunks is 500 and 23 to them, and an answer of a thousand chunks has its prompt a thousand times.
#   What stands on these figures (the token counts of a run, an agent's limit, the cost in a trace) is wrong by the number of
#   chunks. A server that repeats the usage once, beside the finish reason and in a chunk of its own, is counted twice.
# Seen on 2026-12-01:
#   usage once, at the end: smolagents 100 and 7, agno 100 and 7
#   usage so far in each of five chunks: smolagents 500 and 23, agno 500 and 23
#   usage beside the finish reason and once more: smolagents 200 and 14, agno 200 and 14
# Needs python3 with venv, pip and its public registry. Exits 1 when it no longer holds.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv env
env/bin/pip --quiet --disable-pip-version-check install smolagents==1.26.0 agno==3.1.10 openai==3.57.0

cat >usage.py <<'PY'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from agno.agent import Agent
from agno.models.openai.like import OpenAILike
from smolagents import OpenAIServerModel
from smolagents.models import agglomerate_stream_deltas

HEAD = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def chunk(delta, finish_reason=None, used=None):
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    usage = None if used is None else {"prompt_tokens": 100, "completion_tokens": used, "total_tokens": 100 + used}
    return {**HEAD, "choices": choices, "usage": usage}


def stream(first, second, third, end, own):
    parts = [{"role": "assistant", "content": ""}, {"content": "Good"}, {"content": " day"}]
    pieces = [chunk(part, None, used) for part, used in zip(parts, (first, second, third))]
    return [*pieces, chunk({}, "stop", end), *([] if own is None else [chunk(None, None, own)])]


STREAMS = {
    "usage once, at the end": stream(None, None, None, None, 7),
    "usage so far in each of five chunks": stream(0, 3, 6, 7, 7),
    "usage beside the finish reason and once more": stream(None, None, None, 7, 7),
}
name = ""


class Upstream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        data = [json.dumps(c) for c in STREAMS[name]] + ["[DONE]"]
        body = "".join(f"data: {d}\n\n" for d in data).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.server_port}/v1"
for name in STREAMS:
    model = OpenAIServerModel(model_id="m", api_base=base, api_key="unused")
    messages = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
    usage = agglomerate_stream_deltas(list(model.generate_stream(messages))).token_usage
    agent = Agent(model=OpenAILike(id="m", api_key="unused", base_url=base), telemetry=False)
    *_, last = agent.run("Hello", stream=True, stream_events=True)
    print(
        f"{name}: smolagents {usage.input_tokens} and {usage.output_tokens},"
        f" agno {last.metrics.input_tokens} and {last.metrics.output_tokens}"
    )
PY
env/bin/python usage.py 2>errors | tee seen || { cat errors; exit 1; }

diff - seen <<'SEEN'
usage once, at the end: smolagents 100 and 7, agno 100 and 7
usage so far in each of five chunks: smolagents 500 and 23, agno 500 and 23
usage beside the finish reason and once more: smolagents 200 and 14, agno 200 and 14
SEEN
