#!/usr/bin/env bash
# A streamed tool call in OpenAI's form is refused, and a call without an id has the id "null".
#
# Versions: @mistralai/mistralai 2.7.0 (npm).
# Behaviour: OpenAI's form streams a tool call as one chunk with id and name, and further ones with a piece of the arguments
#   alone, by the call's index. The SDK takes `serverURL` for any server, but its schema has the name as required in every
#   chunk, so that the second chunk of such a call ends the whole stream with an error of its validation. Where a server
#   repeats the name, and not the id, the SDK fills the id in: with the text "null", which looks like one, differs from that
#   of the first chunk, and is the same for all calls. The same text stands in whole answers whose calls have no id, and
#   would be sent back as the `tool_call_id` of the result.
# Seen on 2026-11-30:
#   pieces of arguments alone: ["call_7"] then ZodError at data.choices.0.delta.tool_calls.0.function.name
#   pieces with the name repeated: ["call_7","null"]
#   a whole answer of two calls without ids: ["null","null"]
# Needs node, npm and its public registry. Exits 1 when it no longer holds.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

npm init --yes >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @mistralai/mistralai@2.7.0 >/dev/null

cat >calls.mjs <<'JS'
import { createServer } from "node:http"
import { Mistral } from "@mistralai/mistralai"

const head = { id: "c1", object: "chat.completion.chunk", created: 1, model: "m" }
const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 }
const chunk = (delta, finish_reason = null) => ({ ...head, choices: [{ index: 0, delta, finish_reason }] })
const part = (call) => chunk({ tool_calls: [{ index: 0, ...call }] })
const first = part({ id: "call_7", type: "function", function: { name: "weather", arguments: '{"city":' } })
const streams = {
  "pieces of arguments alone": [first, part({ function: { arguments: '"Paris"}' } }), chunk({}, "tool_calls")],
  "pieces with the name repeated": [
    first,
    part({ function: { name: "weather", arguments: '"Paris"}' } }),
    chunk({}, "tool_calls")
  ]
}
const call = { type: "function", function: { name: "weather", arguments: "{}" } }
const message = { role: "assistant", content: "", tool_calls: [call, call] }
const choices = [{ index: 0, message, finish_reason: "tool_calls" }]

const server = createServer(async (request, response) => {
  let body = ""
  for await (const piece of request) body += piece
  const { model, stream } = JSON.parse(body)
  response.writeHead(200, { "content-type": stream ? "text/event-stream" : "application/json" })
  if (!stream) return response.end(JSON.stringify({ ...head, object: "chat.completion", choices, usage }))
  response.end([...streams[model].map((c) => JSON.stringify(c)), "[DONE]"].map((d) => `data: ${d}\n\n`).join(""))
})
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
const client = new Mistral({ apiKey: "unused", serverURL: `http://127.0.0.1:${server.address().port}` })
const asked = (model) => ({ model, messages: [{ role: "user", content: "The weather in Paris?" }] })

for (const name of Object.keys(streams)) {
  const ids = []
  let end = ""
  try {
    for await (const { data } of await client.chat.stream(asked(name))) {
      for (const { id } of data.choices[0].delta.toolCalls ?? []) ids.push(id)
    }
  } catch (error) {
    const [{ path }] = JSON.parse(error.message)
    end = ` then ${error.constructor.name} at ${path.join(".")}`
  }
  console.log(`${name}: ${JSON.stringify(ids)}${end}`)
}
const answer = await client.chat.complete(asked("whole"))
console.log(`a whole answer of two calls without ids: ${JSON.stringify(answer.choices[0].message.toolCalls.map(({ id }) => id))}`)
server.close()
server.closeAllConnections()
JS
node calls.mjs | tee seen

diff - seen <<'SEEN'
pieces of arguments alone: ["call_7"] then ZodError at data.choices.0.delta.tool_calls.0.function.name
pieces with the name repeated: ["call_7","null"]
a whole answer of two calls without ids: ["null","null"]
SEEN
