import { assert, describe, it } from "@effect/vitest"
import { request } from "../support/conduit.ts"
import { query } from "../support/postgres.ts"
import { type Answering, startScripted } from "../support/scriptedUpstream.ts"
import { sharedService } from "../support/sharedService.ts"

let calls = 0
/** Calls a tool each time, and has read most of the prompt from its cache. */
const calling: Answering = (response, { body, model }) => {
  const tool = {
    id: `call_${String(calls++).padStart(20, "0")}`,
    type: "function",
    function: { name: "f", arguments: "{}" }
  }
  const head = { id: "c", created: 1, model }
  const usage = {
    prompt_tokens: 100,
    completion_tokens: 5,
    total_tokens: 105,
    prompt_tokens_details: { cached_tokens: 80 }
  }
  if (body.stream !== true) {
    response.writeHead(200, { "content-type": "application/json" })
    const message = { role: "assistant", content: null, tool_calls: [tool] }
    const choices = [{ index: 0, message, finish_reason: "tool_calls" }]
    response.end(JSON.stringify({ ...head, object: "chat.completion", choices, usage }))
    return
  }
  response.writeHead(200, { "content-type": "text/event-stream" })
  const chunk = (choices: ReadonlyArray<object>, more: object = {}) =>
    response.write(`data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", choices, ...more })}\n\n`)
  chunk([{ index: 0, delta: { role: "assistant", tool_calls: [{ index: 0, ...tool }] }, finish_reason: null }])
  chunk([{ index: 0, delta: {}, finish_reason: "tool_calls" }])
  chunk([], { usage })
  response.end("data: [DONE]\n\n")
}

const models = ["a", "b", "c", "d"]

const { conduit, database } = sharedService(
  () => startScripted(Object.fromEntries(models.map((id) => [id, calling]))),
  (upstream) => ({
    upstream: upstream.url,
    models: models.map((id) => ({ id }))
  })
)

interface Turn {
  readonly headers?: Record<string, string>
  readonly body: Record<string, unknown>
}

const modelOf = async ({ body, headers = {} }: Turn): Promise<string> => {
  const answer = await request(`${conduit.url}/v1/chat/completions`, { body: { model: "auto", ...body }, headers })
  assert.strictEqual(answer.status, 200, answer.text)
  return String(answer.headers["x-conduit-model"])
}

const user = (content: string) => ({ role: "user", content })
const assistant = { role: "assistant", content: "hello" }

/** Twelve conversations of four turns: how many of them changed their model. */
const changes = async (turnOf: (conversation: number, turn: number) => Turn): Promise<number> => {
  const changed = await Promise.all(
    Array.from({ length: 12 }, async (_, conversation) => {
      const answered = new Set<string>()
      for (let turn = 0; turn < 4; turn++) answered.add(await modelOf(turnOf(conversation, turn)))
      return answered.size > 1
    })
  )
  return changed.filter(Boolean).length
}

const history = (conversation: number, turn: number) => [
  { role: "system", content: "Be brief." },
  user(`question ${conversation}`),
  ...Array.from({ length: turn }, (_, i) => [assistant, user(`and ${i}`)]).flat()
]

describe("a conversation keeps its model", () => {
  it("or would change it, where nothing is the same", async () => {
    assert.isAbove(
      await changes((conversation, turn) => ({ body: { messages: [user(`${conversation} ${turn}`)] } })),
      6
    )
  })

  const named = (mark: (name: string) => Partial<Turn>) => (conversation: number, turn: number) => {
    const { body, headers } = mark(`session ${conversation}`)
    return { headers: headers ?? {}, body: { messages: [user(`${conversation} ${turn}`)], ...body } }
  }
  it.each([
    ["x-session-id", (name) => ({ headers: { "x-session-id": `1 ${name}` } })],
    ["x-session-affinity", (name) => ({ headers: { "x-session-affinity": `2 ${name}` } })],
    ["session-id", (name) => ({ headers: { "session-id": `3 ${name}` } })],
    ["thread-id", (name) => ({ headers: { "thread-id": `4 ${name}` } })],
    ["prompt_cache_key", (name) => ({ body: { prompt_cache_key: `5 ${name}` } })],
    ["x-claude-code-session-id", (name) => ({ headers: { "x-claude-code-session-id": `6 ${name}` } })],
    ["metadata.user_id", (name) => ({ body: { metadata: { user_id: JSON.stringify({ session_id: `7 ${name}` }) } } })],
    ["session_id", (name) => ({ body: { session_id: `8 ${name}` } })]
  ] as ReadonlyArray<readonly [string, (name: string) => Partial<Turn>]>)("by the mark %s", async (_, mark) => {
    assert.strictEqual(await changes(named(mark)), 0)
  })

  it("by its first messages, which are equal in all turns", async () => {
    assert.strictEqual(await changes((conversation, turn) => ({ body: { messages: history(conversation, turn) } })), 0)
  })

  it.each([false, true])(
    "by the call whose result it brings, whatever is left of its history (stream: %s)",
    async (stream) => {
      for (let i = 0; i < 8; i++) {
        const model = await modelOf({ body: { messages: [user(`call something ${i} ${String(stream)}`)], stream } })
        const id = `call_${String(calls - 1).padStart(20, "0")}`
        const messages = [
          user(`trimmed ${i}`),
          { role: "assistant", tool_calls: [{ id }] },
          { role: "tool", tool_call_id: id, content: "42" }
        ]
        assert.strictEqual(await modelOf({ body: { messages, stream } }), model)
      }
    }
  )

  it("by Conduit's own name before all others, which is what is stored", async () => {
    await modelOf({
      headers: { "x-session-id": "theirs", "x-conduit-session-id": "ours" },
      body: { messages: [user("x")] }
    })
    const rows = await query<{ session_id: string }>(
      database.url,
      "SELECT session_id FROM decisions WHERE session_id IN ('ours', 'theirs')"
    )
    assert.isTrue(rows.every(({ session_id }) => session_id === "ours"))
  })
})
