#!/usr/bin/env bash
# The tokens of a chat stream are lost on the way to Claude Code, and a filtered answer ends like one that met a stop sequence.
#
# Versions: @musistudio/llms 1.0.53 (npm), the server that is inside @musistudio/claude-code-router 1.0.73.
# Behaviour: it takes `/v1/messages` and calls `/v1/chat/completions`. OpenAI's form has a stream's usage in a last chunk of
#   its own, without choices, after the chunk with the finish reason, and only when `stream_options` asks for it. The server
#   does not ask, ends the message at the finish reason, and tells 0 input and 0 output tokens where the chunk came all the
#   same; only a usage inside the chunk with the finish reason, which is not OpenAI's form, arrives. What counts on these
#   figures, the agent's picture of how full its context is, for one, sees an empty conversation for ever. The finish reason
#   `content_filter` becomes `stop_sequence`, with null for which one, though the request has none and the protocol has
#   `refusal`.
# Seen on 2026-12-01:
#   usage in a chunk of its own: asked for: false; {"input_tokens":0,"output_tokens":0,"cache_read_input_tokens":0}
#   usage beside the finish reason: asked for: false; {"input_tokens":20,"output_tokens":7,"cache_read_input_tokens":80}
#   finish reason content_filter: {"stop_reason":"stop_sequence","stop_sequence":null}
# Needs node, npm and its public registry. Exits 1 when it no longer holds.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

npm init --yes >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @musistudio/llms@1.0.53 >/dev/null
echo '{}' >empty.json

cat >usage.cjs <<'JS'
const { createServer } = require("node:http")
const { once } = require("node:events")
const { setTimeout: sleep } = require("node:timers/promises")
const Server = require("@musistudio/llms").default

const head = { id: "c1", object: "chat.completion.chunk", created: 1, model: "m" }
const usage = { prompt_tokens: 100, completion_tokens: 7, total_tokens: 107, prompt_tokens_details: { cached_tokens: 80 } }
const chunk = (delta, finish_reason = null, more = {}) => ({ ...head, ...more, choices: [{ index: 0, delta, finish_reason }] })
const text = chunk({ role: "assistant", content: "Good day" })
const streams = {
  "usage in a chunk of its own": [text, chunk({}, "stop"), { ...head, choices: [], usage }],
  "usage beside the finish reason": [text, chunk({}, "stop", { usage })],
  "finish reason content_filter": [text, chunk({}, "content_filter")]
}
const names = Object.keys(streams)

const main = async () => {
  let asked
  const upstream = createServer(async (request, response) => {
    let body = ""
    for await (const piece of request) body += piece
    asked = JSON.parse(body)
    response.writeHead(200, { "content-type": "text/event-stream" })
    const data = [...streams[names[asked.model]].map((c) => JSON.stringify(c)), "[DONE]"]
    response.end(data.map((d) => `data: ${d}\n\n`).join(""))
  })
  await once(upstream.listen(0, "127.0.0.1"), "listening")
  const taken = createServer()
  await once(taken.listen(0, "127.0.0.1"), "listening")
  const PORT = String(taken.address().port)
  await new Promise((resolve) => taken.close(resolve))

  const api_base_url = `http://127.0.0.1:${upstream.address().port}/v1/chat/completions`
  const providers = [{ name: "upstream", api_base_url, api_key: "unused", models: Object.keys(names) }]
  void new Server({ logger: false, jsonPath: "empty.json", initialConfig: { PORT, HOST: "127.0.0.1", providers } }).start()

  const ask = async (model) => {
    const body = { model: `upstream,${model}`, max_tokens: 100, stream: true, messages: [{ role: "user", content: "Hello" }] }
    const headers = { "content-type": "application/json" }
    const init = { method: "POST", headers, body: JSON.stringify(body) }
    for (let tries = 100; ; tries--) {
      try {
        return await fetch(`http://127.0.0.1:${PORT}/v1/messages`, init)
      } catch (error) {
        if (tries === 0) throw error
        await sleep(100)
      }
    }
  }
  for (const [i, name] of names.entries()) {
    const lines = (await (await ask(i)).text()).split("\n").filter((line) => line.startsWith("data: {"))
    const end = lines.map((line) => JSON.parse(line.slice(6))).find(({ type }) => type === "message_delta")
    const seen = i < 2 ? `asked for: ${asked.stream_options?.include_usage ?? false}; ${JSON.stringify(end.usage)}` : JSON.stringify(end.delta)
    console.log(`${name}: ${seen}`)
  }
}
main().then(() => process.exit(0))
JS
timeout 120 node usage.cjs | grep -v "^Loaded JSON" | tee seen

diff - seen <<'SEEN'
usage in a chunk of its own: asked for: false; {"input_tokens":0,"output_tokens":0,"cache_read_input_tokens":0}
usage beside the finish reason: asked for: false; {"input_tokens":20,"output_tokens":7,"cache_read_input_tokens":80}
finish reason content_filter: {"stop_reason":"stop_sequence","stop_sequence":null}
SEEN
