import { assert, describe, it } from "@effect/vitest"
import * as Http from "node:http"
import type * as Net from "node:net"
import OpenAI from "openai"
import type { ResponseStreamEvent } from "openai/resources/responses/responses"
import { request } from "../support/conduit.ts"
import { loops } from "../support/toolLoop.ts"
import { recordedStreams } from "../support/recordedStreams.ts"
import { type Answering, answers, error, refuses, startScripted } from "../support/scriptedUpstream.ts"
import { sharedService } from "../support/sharedService.ts"
import { failureOf, wireEvents } from "../support/openaiAnswers.ts"

const tool = {
  type: "function" as const,
  name: "add",
  strict: false,
  parameters: { type: "object", properties: { a: { type: "number" }, b: { type: "number" } } }
}

const whole = Buffer.from(recordedStreams["openai"]?.stream ?? "")
/** So many bytes of a stream, and then the connection is gone. */
const cuts: Answering = (response, { body }) => {
  response.writeHead(200, { "content-type": "text/event-stream" })
  response.write(whole.subarray(0, Number(body.metadata.bytes)), () => response.socket?.destroy())
}

const models = ["plain", "loops", "limited", "declines", "cuts", "long"]

const { conduit, upstream } = sharedService(
  () =>
    startScripted({
      loops,
      cuts,
      limited: refuses(429, error("slow down"), { "retry-after": "7" }),
      declines: answers({}, { content: null, refusal: "I would rather not." }),
      long: (response) => {
        response.writeHead(200, { "content-type": "application/json" })
        const choices = [{ index: 0, message: { role: "assistant", content: "and so" }, finish_reason: "length" }]
        response.end(JSON.stringify({ id: "1", object: "chat.completion", created: 1, model: "long", choices }))
      }
    }),
  (upstream) => ({
    upstream: upstream.url,
    models: models.map((id) => ({ id }))
  })
)
const client = () => new OpenAI({ baseURL: `${conduit.url}/v1`, apiKey: "unused", maxRetries: 0 })

const eventsOf = async (body: object): Promise<ReadonlyArray<ResponseStreamEvent>> => {
  const events: Array<ResponseStreamEvent> = []
  const stream = await client().responses.create({ input: "hello", ...body, stream: true } as never)
  for await (const event of stream as unknown as AsyncIterable<ResponseStreamEvent>) events.push(event)
  return events
}

describe("POST /v1/responses", () => {
  it("answers the openai client with the complete object, and headers of the decision", async () => {
    const { data, response } = await client()
      .responses.create({ model: "plain", input: "hello", instructions: "be brief", temperature: 0.5, tools: [tool] })
      .withResponse()
    assert.strictEqual(data.output_text, "hello")
    assert.deepInclude(data, {
      object: "response",
      status: "completed",
      model: "plain",
      error: null,
      incomplete_details: null,
      parallel_tool_calls: true,
      tool_choice: "auto",
      temperature: 0.5,
      top_p: 1
    })
    assert.propertyVal(data, "store", false)
    assert.deepStrictEqual(data.tools, [{ ...tool, description: null } as never])
    assert.deepInclude(data.usage, { input_tokens: 10, output_tokens: 2, total_tokens: 12 })
    const decisionId = response.headers.get("x-conduit-decision-id")
    assert.strictEqual(data.id, `resp_${decisionId}`)
    for (const header of ["model", "reason", "propensity", "overhead-ms", "cost-usd"]) {
      assert.isNotNull(response.headers.get(`x-conduit-${header}`), header)
    }
    const asked = upstream.asked.at(-1)?.body
    assert.deepStrictEqual(asked.messages, [
      { role: "system", content: "be brief" },
      { role: "user", content: "hello" }
    ])
    assert.strictEqual(asked.temperature, 0.5)

    const feedback = await request(`${conduit.url}/v1/feedback`, {
      body: { decision_id: data.id, kind: "score", value: 0.9 }
    })
    assert.strictEqual(feedback.status, 200)
    assert.strictEqual(feedback.json.decision_id, decisionId)
  })

  it("streams numbered events, each with its name, that end by response.completed", async () => {
    const final = await client().responses.stream({ model: "plain", input: "hello" }).finalResponse()
    assert.strictEqual(final.output_text, "hello")
    assert.strictEqual(final.usage?.total_tokens, 12)
    const { headers, text } = await request(`${conduit.url}/v1/responses`, {
      body: { model: "plain", input: "hello", stream: true }
    })
    assert.include(headers["content-type"], "text/event-stream")
    assert.notInclude(text, "[DONE]")
    const events = wireEvents(text)
    assert.deepStrictEqual(
      events.map(({ name }) => name),
      [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed"
      ]
    )
    for (const [i, { data, name }] of events.entries()) {
      assert.strictEqual(data.sequence_number, i)
      assert.strictEqual(data.type, name)
    }
  })

  it("carries a loop of tools of three steps, whole and streamed", async () => {
    for (const stream of [false, true]) {
      const input: Array<any> = [{ role: "user", content: "add" }]
      let text = ""
      for (let step = 0; step < 4; step++) {
        const asked = { model: "loops", input, tools: [tool], store: false }
        const answer = stream
          ? await client().responses.stream(asked).finalResponse()
          : await client().responses.create(asked)
        text = answer.output_text
        input.push(...answer.output)
        for (const item of answer.output) {
          if (item.type !== "function_call") continue
          const { a, b } = JSON.parse(item.arguments)
          input.push({ type: "function_call_output", call_id: item.call_id, output: String(a + b) })
        }
      }
      assert.strictEqual(text, "it is 3")
    }
  })

  it("tells a refusal, and an answer that is not whole, in its own words", async () => {
    const declined = await client().responses.create({ model: "declines", input: "hello" })
    assert.deepStrictEqual((declined.output[0] as any).content, [{ type: "refusal", refusal: "I would rather not." }])
    const streamed = await client().responses.stream({ model: "declines", input: "hello" }).finalResponse()
    assert.deepStrictEqual((streamed.output[0] as any).content[0].type, "refusal")
    const long = await client().responses.create({ model: "long", input: "hello" })
    assert.strictEqual(long.status, "incomplete")
    assert.deepStrictEqual(long.incomplete_details, { reason: "max_output_tokens" })
  })

  it("passes a limit on with the time to wait", async () => {
    const limited = await failureOf(client().responses.create({ model: "limited", input: "hello" }))
    assert.instanceOf(limited, OpenAI.RateLimitError)
    assert.strictEqual(limited.headers.get("retry-after"), "7")
  })

  it("refuses what needs a store by a 400 that says why, and a WebSocket at once", async () => {
    for (const [param, value] of [
      ["previous_response_id", "resp_1"],
      ["conversation", "conv_1"],
      ["background", true]
    ] as const) {
      const refused = await failureOf(
        client().responses.create({ model: "plain", input: "hello", [param]: value } as never)
      )
      assert.instanceOf(refused, OpenAI.BadRequestError)
      assert.strictEqual(refused.param, param)
      assert.include(refused.message, "not stored here")
    }
    const gone = await failureOf(client().responses.retrieve("resp_1"))
    assert.instanceOf(gone, OpenAI.NotFoundError)
    assert.include(gone.message, "not stored here")

    const status = await new Promise((resolve, reject) => {
      const upgrade = Http.request(`${conduit.url}/v1/responses`, {
        headers: {
          connection: "Upgrade",
          upgrade: "websocket",
          "sec-websocket-version": "13",
          "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="
        }
      })
      upgrade.on("response", (response) => resolve(response.statusCode))
      upgrade.on("upgrade", (_, socket: Net.Socket) => {
        socket.destroy()
        resolve(101)
      })
      upgrade.on("error", reject).end()
    })
    assert.strictEqual(status, 405)
  })

  it("leaves Codex's search out with a word, and takes options of ours", async () => {
    const { response } = await client()
      .responses.create({
        model: "auto",
        input: "hello",
        tools: [tool, { type: "web_search" }],
        include: ["reasoning.encrypted_content"],
        conduit: { constraints: { allowed_models: ["plain"] } }
      } as never)
      .withResponse()
    assert.strictEqual(response.headers.get("x-conduit-adjusted"), "tools.web_search->none")
    assert.strictEqual(response.headers.get("x-conduit-model"), "plain")
    assert.notProperty(upstream.asked.at(-1)?.body, "conduit")
  })

  it("never ends a stream well that its model did not end, wherever it was cut", async () => {
    const end = whole.indexOf('"finish_reason":"stop"')
    const asked = Array.from({ length: end }, (_, bytes) => bytes)
    const kinds = new Set<string>()
    const one = async (bytes: number) => {
      const { complete, status, text } = await request(`${conduit.url}/v1/responses`, {
        body: { model: "cuts", input: "hello", stream: true, metadata: { bytes: String(bytes) } }
      })
      if (status !== 200) return void kinds.add(String(status))
      const last = wireEvents(text).at(-1)
      assert.strictEqual(last?.name, "response.failed", `after ${bytes} bytes`)
      assert.strictEqual(last?.data.response.status, "failed")
      assert.isFalse(complete)
      kinds.add("failed")
    }
    for (let from = 0; from < asked.length; from += 8) await Promise.all(asked.slice(from, from + 8).map(one))
    assert.includeMembers([...kinds], ["failed", "502"])
  })

  it("tells the openai client of a stream that broke", async () => {
    const events: Array<string> = []
    const bytes = String(whole.indexOf("\n\n", whole.indexOf("llo")) + 2)
    const broke = await failureOf(
      (async () => {
        const stream = await client().responses.create({ model: "cuts", input: "x", stream: true, metadata: { bytes } })
        for await (const event of stream) events.push(event.type)
        if (events.at(-1) === "response.failed") throw new Error("failed")
      })()
    )
    assert.isDefined(broke)
    assert.include(events, "response.output_text.delta")
    assert.notInclude(events, "response.completed")
  })

  it("has an event of every kind that the openai client knows", async () => {
    const types = new Set((await eventsOf({ model: "loops", tools: [tool] })).map(({ type }) => type))
    assert.includeMembers(
      [...types],
      ["response.function_call_arguments.delta", "response.function_call_arguments.done", "response.completed"]
    )
  })
})
