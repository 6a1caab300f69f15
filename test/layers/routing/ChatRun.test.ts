import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import type { Said } from "../../../src/domain/models/Said.ts"
import * as BanditStatePersistent from "../../../src/layers/learning/BanditStatePersistent.ts"
import * as RouterBandit from "../../../src/layers/routing/RouterBandit.ts"
import * as DatabaseMemory from "../../../src/layers/storage/memory/DatabaseMemory.ts"
import {
  type ChatAnswer,
  type ChatStream,
  LanguageModels,
  type LanguageModelsShape,
  type ProviderError
} from "../../../src/services/models/LanguageModels.ts"
import { type Answer, type Chat, Router, type StreamSink } from "../../../src/services/routing/Router.ts"
import { type SessionKey, Sessions, type SessionsShape } from "../../../src/services/routing/Sessions.ts"
import { defaults } from "../../../src/services/running/Settings.ts"
import { request, surroundings } from "../../support/banditParts.ts"
import { memoryLog } from "../../support/memoryLog.ts"
import { catalogWith, model } from "../../support/scriptedModels.ts"

// Every state of a chat, and what may come in it: the client leaves, the time is up, something ends twice, somebody throws.

type State = "deciding" | "calling" | "relaying" | "settling" | "over"

const timeoutMs = Duration.toMillis(defaults.http.requestTimeout)

const said: Said = {
  id: null,
  usage: { prompt_tokens: 10, completion_tokens: 5 },
  finishReason: "stop",
  servedModel: null,
  isRefusal: false,
  characters: 5,
  toolCallIds: []
}

const whole: ChatAnswer = { status: 200, text: "{}", said, requestId: null }

const bug = () => {
  throw new Error("a bug")
}

/** Everything that a chat waits for, driven by hand. */
const byHand = (throwsWhile: State | null) => {
  const calls: Array<(answer: ChatAnswer | ProviderError) => void> = []
  const openings: Array<(stream: ChatStream | ProviderError) => void> = []
  let waiting: ((events: ReadonlyArray<string> | ProviderError) => void) | null = null
  let released = 0
  const release = () => void released++
  const models: LanguageModelsShape = {
    complete: (_model, _body, _limits, done) => {
      if (throwsWhile === "calling") bug()
      calls.push(done)
      return release
    },
    stream: (_model, _body, _limits, opened) => {
      openings.push(opened)
      return release
    }
  }
  const stream: ChatStream = {
    status: 200,
    requestId: null,
    next: (done) => {
      waiting = done
    },
    said: () => said,
    isFinished: () => false,
    usageChunk: () => null
  }
  const chosen: Array<() => void> = []
  const sessions: SessionsShape = {
    choose: (_key: SessionKey, choose, done) => {
      if (throwsWhile === "deciding") bug()
      chosen.push(() => done(choose(null)))
    },
    move: (_key, _session, moved) => {
      if (throwsWhile === "settling") bug()
      chosen.push(moved)
    },
    recall: (_key, recalled) => recalled(null),
    remember: () => {}
  }
  return {
    models,
    sessions,
    stream,
    chosen,
    calls,
    openings,
    released: () => released,
    says: (events: ReadonlyArray<string> | ProviderError) => waiting?.(events)
  }
}

interface Seen {
  readonly ends: Array<Exit.Exit<Answer | null, unknown>>
  readonly about: Array<unknown>
  readonly sink: Array<string>
  taken: (() => void) | null
  logged: number
}

const started = (
  kind: "whole" | "stream",
  options: { readonly reads?: boolean; readonly throwsWhile?: State } = {}
) => {
  const { reads = true, throwsWhile = null } = options
  const hand = byHand(throwsWhile)
  const log = memoryLog()
  const seen: Seen = { ends: [], about: [], sink: [], taken: null, logged: 0 }
  const sink: StreamSink = {
    events: (payloads, more) => {
      if (throwsWhile === "relaying") bug()
      seen.sink.push(...payloads)
      seen.taken = more
      if (reads) more()
    },
    alive: () => {},
    finishing: () => {},
    end: () => void seen.sink.push("[DONE]"),
    fail: (error) => void seen.sink.push(error._tag)
  }
  const layer = RouterBandit.layer.pipe(
    Layer.provide(BanditStatePersistent.layer),
    Layer.provide([log.layer, Layer.succeed(LanguageModels, hand.models), DatabaseMemory.layer]),
    Layer.provide(catalogWith([model("a")], { algorithm: "auto" })),
    Layer.provide(Layer.succeed(Sessions, hand.sessions)),
    Layer.provide(surroundings())
  )
  const begin = Effect.map(Router, (router) =>
    router.begin({
      request: request({ sessionId: "s", stream: kind === "stream" }),
      body: {},
      caller: { owner: null },
      open: kind === "stream" ? () => sink : null,
      span: undefined,
      log: () => {
        seen.logged++
      },
      onEnd: ((exit, about) => {
        seen.ends.push(exit)
        seen.about.push(about)
        if (throwsWhile === "over") bug()
      }) satisfies Chat["onEnd"]
    })
  )
  return { hand, log, seen, layer, begin }
}

type Started = ReturnType<typeof started>
const outcomes = ({ log }: Started) => log.offered.map(({ outcome }) => outcome)

/** Takes a chat to the state, by its name. */
const to = {
  deciding: () => {},
  calling: ({ hand }: Started) => hand.chosen.shift()?.(),
  relaying: (it: Started) => {
    to.calling(it)
    it.hand.openings[0]?.(it.hand.stream)
    it.hand.says(["one"])
  },
  /** The note of its session is on its way. */
  settling: (it: Started) => {
    to.calling(it)
    it.hand.calls[0]?.({
      ...whole,
      said: { ...said, usage: { ...said.usage, prompt_tokens_details: { cached_tokens: 8 } } }
    })
  },
  over: (it: Started) => {
    to.settling(it)
    it.hand.chosen.shift()?.()
  }
} as const

const kindOf = (state: State) => (state === "relaying" ? "stream" : "whole")

describe("a chat", () => {
  it.effect.each([
    ["deciding", "interrupted", []],
    ["calling", "interrupted", ["aborted"]],
    ["relaying", "interrupted", ["aborted"]],
    ["settling", "answered", [null]],
    ["over", "answered", [null]]
  ] as const)("whose client leaves while it is %s is %s, once", ([state, how, errors]) => {
    const it = started(kindOf(state))
    return Effect.gen(function* () {
      const run = yield* it.begin
      to[state](it)
      run.interrupt()
      run.interrupt()
      assert.lengthOf(it.seen.ends, 1)
      const [exit] = it.seen.ends
      assert.strictEqual(exit !== undefined && Exit.isSuccess(exit) ? "answered" : "interrupted", how)
      if (how === "interrupted") assert.isTrue(exit !== undefined && Exit.isInterrupted(exit))
      assert.deepStrictEqual(
        outcomes(it).map((outcome) => outcome?.error ?? null),
        [...errors]
      )
      // What was under way is ended, and what it still says is not heard.
      if (state === "calling" || state === "relaying") assert.isAbove(it.hand.released(), 0)
      if (state === "relaying") assert.deepStrictEqual(it.seen.sink, ["one", "Interrupted"])
      for (const chosen of it.hand.chosen) chosen()
      it.hand.calls[0]?.(whole)
      it.hand.says(["late"])
      assert.lengthOf(it.seen.ends, 1)
      assert.notInclude(it.seen.sink, "late")
    }).pipe(Effect.provide(it.layer))
  })

  it.effect.each([
    ["calling", "whole", "timeout"],
    ["calling", "stream", "timeout"],
    ["relaying", "stream", "timeout"]
  ] as const)("whose time is up while it is %s ends by it, once: %s", ([state, kind, error]) => {
    const it = started(kind)
    return Effect.gen(function* () {
      yield* it.begin
      to[state](it)
      yield* TestClock.adjust(timeoutMs)
      yield* TestClock.adjust(timeoutMs)
      assert.lengthOf(it.seen.ends, 1)
      assert.deepStrictEqual(
        outcomes(it).map((outcome) => outcome?.error),
        [error]
      )
      assert.isAbove(it.hand.released(), 0)
      it.hand.calls[0]?.(whole)
      it.hand.says(["late"])
      assert.lengthOf(it.seen.ends, 1)
      if (state === "relaying") assert.deepStrictEqual(it.seen.sink, ["one", "AllModelsFailed"])
    }).pipe(Effect.provide(it.layer))
  })

  it.effect("whose client does not read is ended at the deadline, and not blamed on the model", () => {
    const it = started("stream", { reads: false })
    return Effect.gen(function* () {
      yield* it.begin
      to.relaying(it)
      yield* TestClock.adjust(timeoutMs)
      assert.deepInclude(outcomes(it)[0], { aborted: true, error: "client_slow" })
      // It reads on now that nobody writes.
      it.seen.taken?.()
      assert.lengthOf(it.seen.ends, 1)
    }).pipe(Effect.provide(it.layer))
  })

  it.effect.each(["calling", "settling", "over"] as const)("hears one end of a call, also while it is %s", (state) => {
    const it = started("whole")
    return Effect.gen(function* () {
      yield* it.begin
      to[state](it)
      it.hand.calls[0]?.(whole)
      it.hand.calls[0]?.(whole)
      it.hand.chosen.shift()?.()
      assert.lengthOf(it.seen.ends, 1)
      assert.lengthOf(it.log.offered, 1)
    }).pipe(Effect.provide(it.layer))
  })

  it.effect("hears one end of a stream", () => {
    const it = started("stream")
    return Effect.gen(function* () {
      yield* it.begin
      to.relaying(it)
      it.hand.says([])
      it.hand.says([])
      for (const moved of it.hand.chosen) moved()
      assert.deepStrictEqual(it.seen.sink, ["one", "[DONE]"])
      assert.lengthOf(it.seen.ends, 1)
      assert.lengthOf(it.log.offered, 1)
    }).pipe(Effect.provide(it.layer))
  })

  it.effect.each([
    ["deciding", null],
    ["calling", "unexpected"],
    ["relaying", "unexpected"],
    ["settling", null]
  ] as const)("in which somebody throws while it is %s ends by that bug, once, with its outcome", ([state, error]) => {
    const it = started(kindOf(state), { throwsWhile: state })
    return Effect.gen(function* () {
      yield* it.begin
      to[state](it)
      assert.lengthOf(it.seen.ends, 1)
      const [exit] = it.seen.ends
      assert.isTrue(exit !== undefined && Exit.isFailure(exit) && Cause.isDieType(exit.cause))
      assert.deepStrictEqual(
        outcomes(it).map((outcome) => outcome?.error ?? null),
        state === "deciding" ? [] : [error]
      )
      // It says which decision it broke.
      assert.deepStrictEqual(it.seen.about, [
        state === "deciding" ? {} : { decision_id: decisionOf(it), model_id: "a" }
      ])
      if (state === "relaying") assert.isAbove(it.hand.released(), 0)
    }).pipe(Effect.provide(it.layer))
  })

  it.effect("whose end is not taken logs that bug, and ends all the same", () => {
    const it = started("whole", { throwsWhile: "over" })
    return Effect.gen(function* () {
      yield* it.begin
      to.over(it)
      assert.lengthOf(it.seen.ends, 1)
      assert.strictEqual(it.seen.logged, 1)
      assert.lengthOf(it.log.offered, 1)
    }).pipe(Effect.provide(it.layer))
  })
})

const decisionOf = ({ log }: Started) => log.offered[0]?.decision.id
