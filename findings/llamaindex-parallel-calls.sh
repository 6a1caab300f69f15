#!/usr/bin/env bash
# Of two tool calls in one chunk the second is lost, and pieces that come in turn give one call the arguments of the other.
#
# Versions: @llamaindex/openai 0.4.22, llamaindex 0.12.1 (npm).
# Behaviour: a chunk's `tool_calls` is a list, and each piece says by `index` which call it belongs to. The stream reader takes
#   the first entry of the list alone and adds pieces to whichever call began last. So what arrives from servers that send
#   their calls whole and together (Mistral's form, and Gemini's endpoint in OpenAI's form) is the first call only. Where the
#   pieces of two calls alternate, call_a, whose arguments are Paris, is handed out with Rome, and call_b never, without an
#   error: an agent runs the wrong call and cannot answer the other.
# Seen on 2026-12-01:
#   one call after the other: [["call_a","Paris"],["call_b","Rome"]]
#   both calls whole in one chunk: [["call_a","Paris"]]
#   pieces in turn, by index: [["call_a","Rome"]]
# Needs node, npm and its public registry. Exits 1 when it no longer holds.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

npm init --yes >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @llamaindex/openai@0.4.22 llamaindex@0.12.1 >/dev/null

cat >calls.mjs <<'JS'
import { OpenAI } from "@llamaindex/openai"
import { createServer } from "node:http"

const head = { id: "c1", object: "chat.completion.chunk", created: 1, model: "m" }
const chunk = (delta, finish_reason = null) => ({ ...head, choices: [{ index: 0, delta, finish_reason }] })
const begin = (index, args) => ({
  index, id: ["call_a", "call_b"][index], type: "function", function: { name: "weather", arguments: args }
})
const piece = (index, args) => ({ index, function: { arguments: args } })
const calls = (...tool_calls) => chunk({ tool_calls })
const [open, paris, rome] = ['{"city":', '"Paris"}', '"Rome"}']
const streams = {
  "one call after the other": [
    calls(begin(0, "")), calls(piece(0, open)), calls(piece(0, paris)),
    calls(begin(1, "")), calls(piece(1, open)), calls(piece(1, rome))
  ],
  "both calls whole in one chunk": [calls(begin(0, open + paris), begin(1, open + rome))],
  "pieces in turn, by index": [
    calls(begin(0, ""), begin(1, "")), calls(piece(0, open), piece(1, open)), calls(piece(1, rome), piece(0, paris))
  ]
}

let name
const server = createServer((request, response) => {
  request.resume()
  response.writeHead(200, { "content-type": "text/event-stream" })
  const data = [...streams[name], chunk({}, "tool_calls")].map((c) => JSON.stringify(c))
  response.end([...data, "[DONE]"].map((d) => `data: ${d}\n\n`).join(""))
})
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
const model = new OpenAI({ model: "m", apiKey: "unused", baseURL: `http://127.0.0.1:${server.address().port}/v1` })
const parameters = { type: "object", properties: { city: { type: "string" } } }
const tools = [{ metadata: { name: "weather", description: "The weather in a city", parameters }, call: () => "" }]
const messages = [{ role: "user", content: "The weather in Paris and in Rome?" }]

for (name of Object.keys(streams)) {
  const seen = new Map()
  for await (const { options } of await model.chat({ stream: true, messages, tools })) {
    for (const { id, input } of options?.toolCall ?? []) if (typeof input === "object") seen.set(id, input.city)
  }
  console.log(`${name}: ${JSON.stringify([...seen])}`)
}
server.close()
server.closeAllConnections()
JS
node calls.mjs 2>errors | tee seen || { cat errors; exit 1; }

diff - seen <<'SEEN'
one call after the other: [["call_a","Paris"],["call_b","Rome"]]
both calls whole in one chunk: [["call_a","Paris"]]
pieces in turn, by index: [["call_a","Rome"]]
SEEN
