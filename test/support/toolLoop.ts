import { type Answering, answers } from "./scriptedUpstream.ts"

/** Calls `add` until it has seen three results, then says the last one. */
export const loops: Answering = (response, { body, model }) => {
  const results = body.messages.filter((message: any) => message.role === "tool")
  if (results.length === 3)
    return answers({}, { content: `it is ${results[2].content}` })(response, { model, body, headers: {} })
  const call = {
    index: 0,
    id: `call_${results.length}`,
    type: "function",
    function: { name: "add", arguments: JSON.stringify({ a: results.length, b: 1 }) }
  }
  const head = { id: "chatcmpl-1", created: 1_760_000_000, model }
  const usage = { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 }
  if (body.stream !== true) {
    response.writeHead(200, { "content-type": "application/json" })
    const choices = [
      { index: 0, message: { role: "assistant", content: null, tool_calls: [call] }, finish_reason: "tool_calls" }
    ]
    return void response.end(JSON.stringify({ ...head, object: "chat.completion", choices, usage }))
  }
  response.writeHead(200, { "content-type": "text/event-stream" })
  const chunk = (choices: ReadonlyArray<object>, more: object = {}) =>
    response.write(`data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", choices, ...more })}\n\n`)
  const { arguments: text, name } = call.function
  chunk([{ index: 0, delta: { role: "assistant", tool_calls: [{ ...call, function: { name, arguments: "" } }] } }])
  for (const piece of [text.slice(0, 4), text.slice(4)]) {
    chunk([{ index: 0, delta: { tool_calls: [{ index: 0, function: { arguments: piece } }] } }])
  }
  chunk([{ index: 0, delta: {}, finish_reason: "tool_calls" }])
  chunk([], { usage })
  response.end("data: [DONE]\n\n")
}
