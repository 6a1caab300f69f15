import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as TestClock from "effect/TestClock"
import { DecisionId, ModelId, uuidV7From } from "../../../src/domain/basics/Ids.ts"
import * as BanditStatePersistent from "../../../src/layers/learning/BanditStatePersistent.ts"
import * as DatabaseMemory from "../../../src/layers/storage/memory/DatabaseMemory.ts"
import * as RouterBandit from "../../../src/layers/routing/RouterBandit.ts"
import { ModelCatalog } from "../../../src/services/models/ModelCatalog.ts"
import { Router, type StreamHead, type StreamSink } from "../../../src/services/routing/Router.ts"
import { defaults, type SettingsShape } from "../../../src/services/running/Settings.ts"
import { Telemetry } from "../../../src/services/observing/Telemetry.ts"
import { request, surroundings } from "../../support/banditParts.ts"
import { memoryLog } from "../../support/memoryLog.ts"
import {
  catalogFrom,
  catalogWith,
  failure,
  model,
  type Script,
  scriptedModels,
  words
} from "../../support/scriptedModels.ts"

const nobody = { owner: null }
let texts = 0
/** Not a retry of another one. */
const another = (more: Parameters<typeof request>[0] = {}) => request({ text: `text ${texts++}`, ...more })
const timeoutMs = Duration.toMillis(defaults.http.requestTimeout)

/** A router over real learning, in the order of the configuration so that who comes first is known. */
const routerOver = (
  scripts: Record<string, Script>,
  ids: ReadonlyArray<string> = ["a", "b", "c", "d"],
  learning: Partial<typeof defaults.learning> = {},
  level: SettingsShape["log"]["level"] = "INFO"
) => {
  const log = memoryLog()
  const models = scriptedModels(scripts)
  const layer = RouterBandit.layer.pipe(
    Layer.provide(BanditStatePersistent.layer),
    Layer.provide([log.layer, models.layer, DatabaseMemory.layer]),
    Layer.provide(
      catalogWith(
        ids.map((id) => model(id)),
        { algorithm: "static" }
      )
    ),
    Layer.provide(surroundings({ learning: { ...defaults.learning, ...learning }, log: { ...defaults.log, level } }))
  )
  return { log, models, layer }
}

const outcomeOf = (log: ReturnType<typeof memoryLog>) => log.offered.at(-1)?.outcome

/** Keeps what the client would see. */
const recordingSink = ({ reads = true } = {}) => {
  const seen: Array<string> = []
  const sink: StreamSink = {
    events: (payloads, more) => {
      seen.push(...payloads)
      if (reads) more()
    },
    alive: () => void seen.push(": keep-alive"),
    finishing: () => {},
    end: () => void seen.push("[DONE]"),
    fail: (error) => void seen.push(error._tag)
  }
  return { seen, sink }
}

const text = (content: string, more: object = {}) =>
  JSON.stringify({
    id: "x",
    object: "chat.completion.chunk",
    created: 1,
    model: "a-upstream",
    choices: [{ index: 0, delta: { role: "assistant", content }, finish_reason: null }],
    ...more
  })
const finish = JSON.stringify({
  id: "x",
  object: "chat.completion.chunk",
  created: 1,
  model: "a",
  choices: [{ index: 0, delta: {}, finish_reason: "stop" }]
})
const usageChunk = JSON.stringify({
  model: "a-upstream",
  choices: [],
  usage: { prompt_tokens: 100, completion_tokens: 50 }
})

describe("RouterBandit", () => {
  it.effect("answers with the chosen model's answer under the id that clients know, and learns from it", () => {
    const { layer, log } = routerOver({})
    return Effect.gen(function* () {
      const router = yield* Router
      const answer = yield* router.complete(request(), { messages: [] }, nobody)
      assert.strictEqual(answer.model, ModelId("a"))
      assert.strictEqual(JSON.parse(answer.text).model, "a")
      assert.strictEqual(answer.reason, "static")
      assert.strictEqual(answer.costUsd, (100 * 1 + 50 * 2) / 1e6)
      const [record] = log.offered
      assert.strictEqual(record?.decision.id, answer.decisionId)
      assert.deepInclude(record?.outcome, {
        ok: true,
        aborted: false,
        inputTokens: 100,
        outputTokens: 50,
        costUsd: answer.costUsd
      })
    }).pipe(Effect.provide(layer))
  })

  it.effect("keeps the text of a prompt when it is told to, and never else", () => {
    const asked = request({ text: "secret \u0000 text" })
    const promptsOf = (over: ReturnType<typeof routerOver>) =>
      Effect.gen(function* () {
        const router = yield* Router
        yield* router.complete(asked, {}, nobody)
        yield* router.stream(asked, {}, nobody, () => recordingSink().sink)
        yield* router.route(asked, nobody)
        return over.log.offered.map(({ prompt }) => prompt)
      }).pipe(Effect.provide(over.layer))
    return Effect.gen(function* () {
      assert.deepStrictEqual(yield* promptsOf(routerOver({})), [null, null, null])
      const kept = "secret \uFFFD text"
      assert.deepStrictEqual(yield* promptsOf(routerOver({}, undefined, { storePrompts: true })), [kept, kept, kept])
    })
  })

  it.effect("falls back down the ranking, and keeps every failed attempt", () => {
    const { layer, log } = routerOver({
      a: failure("a", "server_error", { status: 500 }),
      b: failure("b", "connection")
    })
    return Effect.gen(function* () {
      const router = yield* Router
      const answer = yield* router.complete(request(), {}, nobody)
      assert.strictEqual(answer.model, ModelId("c"))
      assert.strictEqual(answer.reason, "fallback")
      assert.deepStrictEqual(
        log.offered[0]?.attempts.map(({ error, model, ok, status }) => ({ error, model: model as string, ok, status })),
        [
          { error: "server_error", model: "a", ok: false, status: 500 },
          { error: "connection", model: "b", ok: false, status: null },
          { error: null, model: "c", ok: true, status: 200 }
        ]
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("tries three models and no more, and says when a rate limit may be over", () => {
    const limited = (id: string, seconds: number) =>
      failure(id, "rate_limited", { status: 429, retryAfterSeconds: seconds })
    const { layer, log, models } = routerOver({ a: limited("a", 30), b: limited("b", 7), c: limited("c", 9) })
    return Effect.gen(function* () {
      const router = yield* Router
      const error = yield* Effect.flip(router.complete(request(), {}, nobody))
      assert.deepInclude(error, { _tag: "AllModelsFailed", retryAfterSeconds: 7, timedOut: false })
      assert.propertyVal(error, "decisionId", log.offered.at(-1)?.decision.id)
      assert.lengthOf(models.calls, 3)
      assert.deepInclude(outcomeOf(log), { ok: false, aborted: false, error: "rate_limited" })
    }).pipe(Effect.provide(layer))
  })

  it.effect("asks three models about a request that each refuses, tells the first refusal, and blames none", () => {
    const refused = (id: string, status: number) => failure(id, "rejected", { status, said: words(`${id} says no`) })
    const { layer, log, models } = routerOver({ a: refused("a", 413), b: refused("b", 400), c: refused("c", 400) })
    return Effect.gen(function* () {
      const router = yield* Router
      const error = yield* Effect.flip(router.complete(request(), {}, nobody))
      assert.deepInclude(error, { _tag: "UpstreamRejected", status: 413, detail: "a says no" })
      assert.propertyVal(error, "decisionId", log.offered.at(-1)?.decision.id)
      assert.lengthOf(models.calls, 3)
      assert.deepInclude(outcomeOf(log), { ok: false, aborted: false, error: "rejected" })
      assert.deepStrictEqual(
        router.models().map(({ circuit }) => circuit),
        ["closed", "closed", "closed", "closed"]
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("asks every model about what one cannot do, and answers with the one that can", () => {
    const unable = (id: string) => failure(id, "unsupported", { status: 400, lacks: "vision" })
    const { layer, models } = routerOver({ a: unable("a"), b: unable("b"), c: unable("c") })
    return Effect.gen(function* () {
      const router = yield* Router
      const answer = yield* router.complete(request(), {}, nobody)
      assert.strictEqual(answer.model, ModelId("d"))
      assert.lengthOf(models.calls, 4)
    }).pipe(Effect.provide(layer))
  })

  it.effect("does not say that a request is wrong while a model that might serve it is out of reach", () => {
    const { layer, models } = routerOver({ a: failure("a", "server_error") }, ["a", "b"])
    return Effect.gen(function* () {
      const router = yield* Router
      yield* Effect.replicateEffect(
        Effect.suspend(() => router.complete(another(), {}, nobody)),
        5
      )
      models.scripts["b"] = failure("b", "unsupported", { status: 400, lacks: "vision", said: words("no images") })
      const error = yield* Effect.flip(router.complete(another(), {}, nobody))
      assert.nestedPropertyVal(error, "fault.status", 503)
      assert.nestedPropertyVal(error, "fault.retryAfterSeconds", 10)
    }).pipe(Effect.provide(layer))
  })

  it.effect("leaves a model that asks for time alone at once, for just that time, and says when it passes", () => {
    const limited = failure("a", "rate_limited", { status: 429, retryAfterSeconds: 60 })
    const { layer, models } = routerOver({ a: limited }, ["a", "b"])
    return Effect.gen(function* () {
      const router = yield* Router
      const callsOfA = () => models.calls.filter(({ model }) => model === "a").length
      yield* Effect.replicateEffect(
        Effect.suspend(() => router.complete(another(), {}, nobody)),
        3
      )
      assert.strictEqual(callsOfA(), 1)
      const only = another({ constraints: { allowed_models: ["a"] } })
      yield* TestClock.adjust("20 seconds")
      const error = yield* Effect.flip(router.complete(only, {}, nobody))
      assert.isTrue(error._tag === "NoEligibleModel" && error.isLimited && error.retryAfterSeconds === 40)
      yield* TestClock.adjust("40 seconds")
      models.scripts["a"] = "answers"
      assert.strictEqual((yield* router.complete(only, {}, nobody)).model, ModelId("a"))
    }).pipe(Effect.provide(layer))
  })

  it.effect("ends at the total deadline, whatever the model does, and stops the call", () => {
    const { layer, log, models } = routerOver({ a: "hangs" }, ["a"])
    return Effect.gen(function* () {
      const router = yield* Router
      const fiber = yield* Effect.fork(Effect.flip(router.complete(request(), {}, nobody)))
      yield* TestClock.adjust(timeoutMs - 1)
      assert.lengthOf(log.offered, 0)
      yield* TestClock.adjust(1)
      const error = yield* Fiber.join(fiber)
      assert.deepInclude(error, { _tag: "AllModelsFailed", timedOut: true })
      assert.deepStrictEqual(models.interrupted, ["a"])
      assert.deepInclude(outcomeOf(log), { ok: false, aborted: false, error: "timeout", latencyMs: timeoutMs })
    }).pipe(Effect.provide(layer))
  })

  it.effect.each(["complete", "stream"] as const)(
    "falls back from a model that hangs when half of the time is gone (%s)",
    (how) => {
      const { layer, log, models } = routerOver({ a: "hangs", b: how === "stream" ? [text("Hello")] : "answers" })
      return Effect.gen(function* () {
        const router = yield* Router
        const { seen, sink } = recordingSink()
        const fiber = yield* Effect.fork(
          how === "complete"
            ? router.complete(request(), {}, nobody)
            : router.stream(request({ stream: true }), {}, nobody, () => sink)
        )
        yield* TestClock.adjust(timeoutMs / 2)
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(
          log.offered[0]?.attempts.map(({ error, latencyMs, model }) => [model as string, error, latencyMs]),
          [
            ["a", "timeout", timeoutMs / 2],
            ["b", null, 0]
          ]
        )
        assert.deepStrictEqual(models.interrupted, ["a"])
        assert.strictEqual(seen.at(-1), how === "stream" ? "[DONE]" : undefined)
      }).pipe(Effect.provide(layer))
    }
  )

  it.effect("gives the last model all the time that is left, and a pinned one too", () => {
    const { layer, log } = routerOver({ a: "hangs", b: "hangs" }, ["a", "b"])
    return Effect.gen(function* () {
      const router = yield* Router
      const latencies = (asked: ReturnType<typeof request>) =>
        Effect.gen(function* () {
          const fiber = yield* Effect.fork(Effect.flip(router.complete(asked, {}, nobody)))
          yield* TestClock.adjust(timeoutMs)
          assert.deepInclude(yield* Fiber.join(fiber), { _tag: "AllModelsFailed", timedOut: true })
          return log.offered.at(-1)?.attempts.map(({ latencyMs }) => latencyMs)
        })
      assert.deepStrictEqual(yield* latencies(request()), [timeoutMs / 2, timeoutMs / 2])
      assert.deepStrictEqual(yield* latencies(request({ pinned: ModelId("b") })), [timeoutMs])
    }).pipe(Effect.provide(layer))
  })

  it.effect("does not blame a model for the time that the one before it took", () => {
    const { layer, log } = routerOver({ a: "hangs", b: "hangs", c: failure("c", "server_error") }, ["a", "b", "c"])
    return Effect.gen(function* () {
      const router = yield* Router
      const fiber = yield* Effect.fork(Effect.flip(router.complete(request(), {}, nobody)))
      yield* TestClock.adjust(timeoutMs / 2 - 1)
      // Open when the second one begins, which therefore has all the time; half open when it ends.
      const pinned = Effect.suspend(() => router.complete(another({ pinned: ModelId("c") }), {}, nobody))
      yield* Effect.replicateEffect(Effect.flip(pinned), 5)
      yield* TestClock.adjust(timeoutMs)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(
        log.offered.at(-1)?.attempts.map(({ model }) => model as string),
        ["a", "b"]
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("makes an outcome of a client that leaves, and stops the call", () => {
    const { layer, log, models } = routerOver({ a: "hangs" })
    return Effect.gen(function* () {
      const router = yield* Router
      const fiber = yield* Effect.fork(router.complete(request(), {}, nobody))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(models.interrupted, ["a"])
      assert.deepInclude(outcomeOf(log), { ok: false, aborted: true, error: "aborted", latencyMs: 1000 })
    }).pipe(Effect.provide(layer))
  })

  it.effect("calls a pinned model and no other, unless it may fall back", () => {
    const { layer, models } = routerOver({ c: failure("c", "server_error") })
    return Effect.gen(function* () {
      const router = yield* Router
      const pinned = request({ pinned: ModelId("c") })
      assert.strictEqual((yield* Effect.flip(router.complete(pinned, {}, nobody)))._tag, "AllModelsFailed")
      assert.deepStrictEqual(
        models.calls.map((call) => call.model),
        ["c"]
      )
      const answer = yield* router.complete({ ...pinned, fallback: true }, {}, nobody)
      assert.notStrictEqual(answer.model, ModelId("c"))
      assert.strictEqual(answer.reason, "fallback")
      assert.strictEqual(
        (yield* Effect.flip(router.complete(request({ pinned: ModelId("x") }), {}, nobody)))._tag,
        "UnknownModel"
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("names what excludes each model", () => {
    const { layer, log } = routerOver({}, ["a", "b"])
    return Effect.gen(function* () {
      const router = yield* Router
      const error = yield* Effect.flip(
        router.complete(request({ constraints: { allowed_models: ["b"], max_cost_usd: 1e-12 } }), {}, nobody)
      )
      assert.deepInclude(error, {
        _tag: "NoEligibleModel",
        excluded: [
          { model: "a", excludedBy: "allowed_models" },
          { model: "b", excludedBy: "max_cost_usd" }
        ]
      })
      assert.lengthOf(log.offered, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("keeps requests away from a model that failed five times, then lets one try it", () => {
    const { layer, models } = routerOver({ a: failure("a", "server_error") }, ["a", "b"])
    return Effect.gen(function* () {
      const router = yield* Router
      const circuit = () => router.models()[0]?.circuit
      yield* Effect.replicateEffect(
        Effect.suspend(() => router.complete(another(), {}, nobody)),
        5
      )
      assert.strictEqual(circuit(), "open")
      const answer = yield* router.complete(request(), {}, nobody)
      assert.strictEqual(answer.reason, "static")
      assert.strictEqual(models.calls.filter((call) => call.model === "a").length, 5)

      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(circuit(), "half_open")
      models.scripts["a"] = "hangs"
      const trying = yield* Effect.fork(router.complete(request(), {}, nobody))
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* router.complete(request(), {}, nobody)).model, ModelId("b"))
      yield* Fiber.interrupt(trying)

      models.scripts["a"] = "answers"
      assert.strictEqual((yield* router.complete(request(), {}, nobody)).model, ModelId("a"))
      assert.strictEqual(circuit(), "closed")
    }).pipe(Effect.provide(layer))
  })

  it.effect("says that it passes when only open circuits stand in the way", () => {
    const { layer } = routerOver({ a: failure("a", "server_error") }, ["a"])
    return Effect.gen(function* () {
      const router = yield* Router
      yield* Effect.replicateEffect(Effect.flip(Effect.suspend(() => router.complete(another(), {}, nobody))), 5)
      const error = yield* Effect.flip(router.complete(request(), {}, nobody))
      assert.isTrue(error._tag === "NoEligibleModel" && error.passes)
    }).pipe(Effect.provide(layer))
  })

  it.effect(
    "relays a stream under the id that clients know, without heartbeats, and without counts that nobody asked for",
    () => {
      const { layer, log, models } = routerOver({ a: [text("Hello"), "not json", finish, usageChunk] })
      return Effect.gen(function* () {
        const router = yield* Router
        const { seen, sink } = recordingSink()
        yield* router.stream(request({ stream: true }), { stream: true }, nobody, () => sink)
        const id = `"chatcmpl-${log.offered.at(-1)?.decision.id}"`
        const chunks = [text("Hello").replace("a-upstream", "a"), finish].map((chunk) => chunk.replace('"x"', id))
        assert.deepStrictEqual(seen, [...chunks, "[DONE]"])
        assert.deepInclude(outcomeOf(log), { ok: true, inputTokens: 100, outputTokens: 50, costUsd: 200 / 1e6 })
        assert.strictEqual(models.openStreams(), 0)
      }).pipe(Effect.provide(layer))
    }
  )

  it.effect("puts the cost into the usage chunk of a caller who asked for it", () => {
    const { layer } = routerOver({ a: [text("Hello"), finish, usageChunk] })
    return Effect.gen(function* () {
      const router = yield* Router
      const { seen, sink } = recordingSink()
      yield* router.stream(request({ stream: true }), { stream_options: { include_usage: true } }, nobody, () => sink)
      assert.deepInclude(JSON.parse(seen[2] ?? ""), { model: "a", conduit: { cost_usd: 200 / 1e6 } })
    }).pipe(Effect.provide(layer))
  })

  it.effect("estimates tokens and cost of a stream whose usage never came", () => {
    const { layer, log } = routerOver({ a: [text("12345678"), text("9")] })
    return Effect.gen(function* () {
      const router = yield* Router
      yield* router.stream(request({ stream: true }), {}, nobody, () => recordingSink().sink)
      const costUsd = (10 * 1 + 3 * 2) / 1e6
      assert.deepInclude(outcomeOf(log), { ok: true, inputTokens: null, outputTokens: 3, costUsd })
    }).pipe(Effect.provide(layer))
  })

  it.effect("falls back before the first event, and opens the answer once, with the model that answers", () => {
    const { layer, models } = routerOver({ a: failure("a", "server_error"), b: [text("Hello")] })
    return Effect.gen(function* () {
      const router = yield* Router
      const heads: Array<string> = []
      yield* router.stream(request({ stream: true }), {}, nobody, (head) => {
        heads.push(`${head.model} ${head.reason}`)
        return recordingSink().sink
      })
      assert.deepStrictEqual(heads, ["b fallback"])
      assert.strictEqual(models.openStreams(), 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("begins a stream before anything comes, and falls back inside it", () => {
    const { layer, log } = routerOver({ a: "hangs", b: [text("Hello")] })
    return Effect.gen(function* () {
      const router = yield* Router
      const heads: Array<ModelId | null> = []
      const { seen, sink } = recordingSink()
      const open = (head: StreamHead) => {
        heads.push(head.model)
        return sink
      }
      const fiber = yield* Effect.fork(router.stream(request({ stream: true }), {}, nobody, open))
      yield* TestClock.adjust("9999 millis")
      assert.deepStrictEqual(heads, [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual([heads, seen], [[null], [": keep-alive"]])
      yield* TestClock.adjust(timeoutMs / 2)
      yield* Fiber.join(fiber)
      assert.strictEqual(JSON.parse(seen[1] ?? "").model, "b")
      assert.strictEqual(seen.at(-1), "[DONE]")
      assert.deepInclude(outcomeOf(log), { ok: true, model: ModelId("b") })
    }).pipe(Effect.provide(layer))
  })

  it.effect("tells the client of a stream that breaks, without an end", () => {
    const { layer, log } = routerOver({ a: [text("Hello"), failure("a", "cut")] })
    return Effect.gen(function* () {
      const router = yield* Router
      const { seen, sink } = recordingSink()
      yield* router.stream(request({ stream: true }), {}, nobody, () => sink)
      assert.strictEqual(seen.at(-1), "AllModelsFailed")
      assert.deepInclude(outcomeOf(log), { ok: false, aborted: false, error: "cut" })
    }).pipe(Effect.provide(layer))
  })

  it.effect("cuts a stream at the total deadline", () => {
    const { layer, log, models } = routerOver({ a: [text("Hello"), "hangs"] })
    return Effect.gen(function* () {
      const router = yield* Router
      const { seen, sink } = recordingSink()
      const fiber = yield* Effect.fork(router.stream(request({ stream: true }), {}, nobody, () => sink))
      yield* TestClock.adjust(timeoutMs)
      yield* Fiber.join(fiber)
      assert.strictEqual(seen.at(-1), "AllModelsFailed")
      assert.deepInclude(outcomeOf(log), { ok: false, aborted: false, error: "timeout" })
      assert.strictEqual(models.openStreams(), 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("does not blame the model for a client that does not read", () => {
    const { layer, log } = routerOver({ a: [text("Hello")] })
    return Effect.gen(function* () {
      const router = yield* Router
      const { sink } = recordingSink({ reads: false })
      const fiber = yield* Effect.fork(router.stream(request({ stream: true }), {}, nobody, () => sink))
      yield* TestClock.adjust(timeoutMs)
      yield* Fiber.join(fiber)
      assert.deepInclude(outcomeOf(log), { ok: false, aborted: true, error: "client_slow" })
      assert.strictEqual(router.models()[0]?.circuit, "closed")
    }).pipe(Effect.provide(layer))
  })

  it.effect("tells the sink of an interruption, and makes an aborted outcome of it", () => {
    const { layer, log, models } = routerOver({ a: [text("Hello"), "hangs"] })
    return Effect.gen(function* () {
      const router = yield* Router
      const { seen, sink } = recordingSink()
      const fiber = yield* Effect.fork(router.stream(request({ stream: true }), {}, nobody, () => sink))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(seen.at(-1), "Interrupted")
      assert.deepInclude(outcomeOf(log), { ok: false, aborted: true })
      assert.lengthOf(log.offered, 1)
      assert.strictEqual(models.openStreams(), 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect.each([
    ["the usage, if it came", usageChunk, { inputTokens: 100, outputTokens: 50, costUsd: (100 * 1 + 50 * 2) / 1e6 }],
    ["else an estimate", text("9"), { inputTokens: null, outputTokens: 3, costUsd: (10 * 1 + 3 * 2) / 1e6 }]
  ] as const)("keeps what a client that leaves in mid-stream has cost: %s", ([, second, known]) => {
    const { layer, log } = routerOver({ a: [text("12345678"), second, "hangs"] })
    return Effect.gen(function* () {
      const router = yield* Router
      const fiber = yield* Effect.fork(router.stream(request({ stream: true }), {}, nobody, () => recordingSink().sink))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      assert.deepInclude(outcomeOf(log), { ok: false, aborted: true, error: "aborted", latencyMs: 1000, ...known })
      assert.strictEqual(outcomeOf(log)?.firstTokenMs, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("says when a model goes out and when it answers again, whether calls failed or streams broke", () => {
    const { layer, models } = routerOver({ a: [text("Hello"), failure("a", "cut")], b: failure("b", "server_error") })
    const lines: Array<string> = []
    const fields: Array<unknown> = []
    const logger = Logger.make(({ logLevel, message }) => {
      const [text, more] = Array.isArray(message) ? message : [message]
      lines.push(`${logLevel.label} ${String(text)}`)
      fields.push(more)
    })
    const failed = (id: string, reason: string) =>
      `WARN model ${id} failed again and again (${reason}): it is left out for 10 s, then tried by one request at a time`
    return Effect.gen(function* () {
      const router = yield* Router
      const broken = (id: string) =>
        Effect.exit(
          Effect.suspend(() =>
            router.stream(another({ stream: true, pinned: ModelId(id) }), {}, nobody, () => recordingSink().sink)
          )
        )
      yield* Effect.replicateEffect(broken("a"), 4)
      assert.deepStrictEqual(lines, [])
      // The sixth, on its way when it opened, opens nothing.
      yield* Effect.replicateEffect(broken("a"), 2)
      assert.deepStrictEqual(lines, [failed("a", "cut")])
      yield* Effect.replicateEffect(broken("b"), 6)
      assert.deepStrictEqual(lines, [failed("a", "cut"), failed("b", "server_error")])
      yield* Effect.replicateEffect(router.complete(request(), {}, nobody), 3)
      // However often it opens again, that is nothing new.
      yield* TestClock.adjust("10 seconds")
      yield* broken("a")
      assert.lengthOf(lines, 2)
      yield* TestClock.adjust("10 seconds")
      models.scripts["a"] = "answers"
      const { decisionId } = yield* router.complete(request({ pinned: ModelId("a") }), {}, nobody)
      yield* router.complete(request({ pinned: ModelId("a") }), {}, nobody)
      assert.deepStrictEqual(lines.slice(2), [
        "INFO model a answers again after 20.0s: 7 failed call(s), 3 decision(s) were made without it"
      ])
      assert.deepStrictEqual(fields[2], { decision_id: decisionId, model_id: "a", latency_ms: 0 })
    }).pipe(Effect.provide(layer), Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
  })

  it.effect.each([
    ["INFO", []],
    ["DEBUG", ["folded", "decided", "called", "called", "decided", "called", "no model is left to choose"]]
  ] as const)(
    "says what it decides and calls where the level is DEBUG, and else does not even try (%s)",
    ([level, said]) => {
      const { layer } = routerOver({ a: failure("a", "server_error") }, undefined, undefined, level)
      const lines: Array<string> = []
      // Whatever is tried is heard here, also the runtime's own line for each fiber that fails.
      const logger = Logger.make(({ logLevel, message }) => {
        const text = String(Array.isArray(message) ? message[0] : message)
        if (logLevel === LogLevel.Debug && !text.startsWith("Fiber terminated")) lines.push(text)
      })
      return Effect.gen(function* () {
        const router = yield* Router
        yield* router.complete(request(), {}, nobody)
        yield* router.stream(request({ stream: true, pinned: ModelId("b") }), {}, nobody, () => recordingSink().sink)
        yield* Effect.flip(router.route(request({ constraints: { max_cost_usd: 1e-12 } }), nobody))
        assert.deepStrictEqual(lines, [...said])
      }).pipe(
        Effect.provide(layer),
        Effect.provide(Layer.merge(Logger.replace(Logger.defaultLogger, logger), Logger.minimumLogLevel(LogLevel.All)))
      )
    }
  )

  it.effect("moves a session to the model that answered when its own failed", () => {
    const log = memoryLog()
    const models = scriptedModels({})
    const layer = RouterBandit.layer.pipe(
      Layer.provide(BanditStatePersistent.layer),
      Layer.provide([log.layer, models.layer, DatabaseMemory.layer]),
      Layer.provide(catalogWith([model("a"), model("b")])),
      Layer.provide(surroundings())
    )
    return Effect.gen(function* () {
      const router = yield* Router
      const inSession = request({ sessionId: "s" })
      const first = yield* router.complete(inSession, {}, nobody)
      assert.deepInclude(yield* router.complete(inSession, {}, nobody), {
        model: first.model,
        reason: "session",
        propensity: 1
      })
      models.scripts[first.model] = failure(first.model, "server_error")
      const moved = yield* router.complete(inSession, {}, nobody)
      assert.strictEqual(moved.reason, "fallback")
      models.scripts[first.model] = "answers"
      assert.deepInclude(yield* router.complete(inSession, {}, nobody), { model: moved.model, reason: "session" })
    }).pipe(Effect.provide(layer))
  })

  it.effect("shows a decision to the key that made it, before it is stored, and to no other", () => {
    const { layer } = routerOver({})
    return Effect.gen(function* () {
      const router = yield* Router
      const decision = yield* router.route(request(), { owner: "mine" })
      assert.strictEqual((yield* router.decision(decision.id, { owner: "mine" })).record.decision.id, decision.id)
      for (const owner of [null, "other"]) {
        assert.strictEqual((yield* Effect.flip(router.decision(decision.id, { owner })))._tag, "DecisionNotFound")
      }
    }).pipe(Effect.provide(layer))
  })

  it.effect("refuses what is said about a decision that is too old or from the future", () => {
    const { layer } = routerOver({}, ["a"], { feedbackExpiry: Duration.minutes(5) })
    return Effect.gen(function* () {
      const router = yield* Router
      const now = Duration.toMillis("10 minutes")
      yield* TestClock.adjust(now)
      const idOf = (millis: number) => DecisionId(uuidV7From(millis, new Uint8Array(10)))
      const reportOn = (millis: number) =>
        router.report({
          decisionId: idOf(millis),
          ok: true,
          inputTokens: null,
          outputTokens: null,
          latencyMs: null,
          error: null,
          owner: null
        })
      const judge = (millis: number) =>
        router.feedback({
          id: "f",
          decisionId: idOf(millis),
          kind: "thumbs",
          value: "up",
          confidence: 1,
          comment: null,
          source: "api",
          idempotencyKey: "f",
          createdAtMillis: now,
          owner: null
        })
      const expiry = Duration.toMillis("5 minutes")
      for (const say of [reportOn, judge]) {
        yield* say(now - expiry)
        yield* say(now + 60_000)
        for (const millis of [now - expiry - 1, now + 60_001]) {
          assert.strictEqual(
            (yield* Effect.flip<unknown, { readonly _tag: string }, never>(say(millis)))._tag,
            "DecisionNotFound"
          )
        }
      }
    }).pipe(Effect.provide(layer))
  })

  it.effect("holds nothing against a model that had gone when it was to be called", () => {
    const log = memoryLog()
    let catalog = catalogFrom([model("a")], { algorithm: "static" })
    /** The configuration is read again right after the choice. */
    const removing = Layer.effect(
      Telemetry,
      Effect.map(Telemetry, (telemetry) => ({
        ...telemetry,
        decided: () => {
          catalog = catalogFrom([], { algorithm: "static" })
        }
      }))
    )
    const layer = RouterBandit.layer.pipe(
      Layer.provide(removing),
      Layer.provide(BanditStatePersistent.layer),
      Layer.provide([log.layer, scriptedModels({}).layer, DatabaseMemory.layer]),
      Layer.provide(
        Layer.succeed(ModelCatalog, {
          current: () => catalog,
          onChange: (made) => made(catalog),
          reload: Effect.sync(() => catalog),
          listed: () => Effect.void
        })
      ),
      Layer.provide(surroundings())
    )
    return Effect.gen(function* () {
      const router = yield* Router
      const error = yield* Effect.flip(router.complete(request(), {}, nobody))
      assert.strictEqual(error._tag, "NoEligibleModel")
      assert.deepInclude(outcomeOf(log), { ok: false, aborted: true, error: "not_called" })
    }).pipe(Effect.provide(layer))
  })
})
