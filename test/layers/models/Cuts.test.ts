import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Dispatcher } from "undici"
import type { ProtocolName } from "../../../src/domain/models/canonical/Conversation.ts"
import { type ProviderKind, providerKindNames, providerKinds } from "../../../src/domain/models/ProviderKind.ts"
import { simulate } from "../../../src/domain/simulation/SimulatedModel.ts"
import * as LanguageModelsHttp from "../../../src/layers/models/LanguageModelsHttp.ts"
import { chatWire, geminiWire, messagesWire, responsesWire, type Wire } from "../../../src/programs/mockLlm/Wires.ts"
import { type ChatStream, LanguageModels, ProviderError } from "../../../src/services/models/LanguageModels.ts"
import { UpstreamPools } from "../../../src/services/models/UpstreamPools.ts"
import { fixedCatalog } from "../../support/catalog.ts"
import { catalogAt, modelOf } from "../../support/httpModels.ts"

// Streams that end after each of their bytes, for clients of every protocol.

/** What an upstream of a kind says, and the text from which on its answer is whole. */
interface Spoken {
  readonly wire: Wire
  readonly whole: RegExp
}

const spoken: Readonly<Partial<Record<ProviderKind, Spoken>>> = {
  "openai-compatible": { wire: chatWire, whole: /"finish_reason":"stop"[^\n]*\n/ },
  "openai-responses": { wire: responsesWire, whole: /"type":"response\.completed"[^\n]*\n/ },
  anthropic: { wire: messagesWire, whole: /"stop_reason":"end_turn"[^\n]*\n/ },
  gemini: { wire: geminiWire, whole: /"finishReason":"STOP"[^\n]*\n/ }
}

const question = "hello"
const asked: Readonly<Record<ProtocolName, Readonly<Record<string, unknown>>>> = {
  chat: { messages: [{ role: "user", content: question }] },
  responses: { input: question },
  messages: { max_tokens: 100, messages: [{ role: "user", content: question }] },
  gemini: { contents: [{ role: "user", parts: [{ text: question }] }] }
}
const doors: ReadonlyArray<ProtocolName> = ["chat", "responses", "messages", "gemini"]

const script = {
  name: "m",
  quality: { default: 0.5 },
  faults: {},
  firstTokenMs: 0,
  tokensPerSecond: 1000,
  inputUsdPerMTok: 0,
  outputUsdPerMTok: 0
}

const textOf = ({ wire }: Spoken): string => {
  const body = {
    ...asked.chat,
    ...asked.responses,
    contents: asked.gemini["contents"],
    model: "m",
    mock: { text: "a b" }
  }
  const simulation = simulate(script as never, wire.read(body), "seed")
  const label = { id: `${wire.idPrefix}1`, model: "m", createdSeconds: 1 }
  const frames = wire.answer(simulation, { label, body, script: script as never }, null).scripted(null, true)
  return frames.map(({ text }) => text).join("")
}

/** Answers every call by these bytes, and then ends well or breaks. */
class Ending {
  bytes = Buffer.alloc(0)
  breaks = false

  dispatch(_options: unknown, handler: any): boolean {
    handler.onConnect(() => undefined)
    handler.onHeaders(200, [Buffer.from("content-type"), Buffer.from("text/event-stream")], () => undefined)
    if (this.bytes.length > 0) handler.onData(this.bytes)
    if (this.breaks) handler.onError(new Error("read ECONNRESET"))
    else handler.onComplete([])
    return true
  }
}

const modelsOf = (kind: ProviderKind, ending: Ending): Layer.Layer<LanguageModels> => {
  const catalog = catalogAt("http://upstream.example/v1", "sk-1")
  const local = catalog.providers.get("local")
  const providers = new Map(local === undefined ? [] : [["local", { ...local, kind }]])
  const pools = new Map([["local", ending as unknown as Dispatcher]])
  return LanguageModelsHttp.layer.pipe(
    Layer.provide(Layer.succeed(UpstreamPools, { pools: () => pools })),
    Layer.provide(fixedCatalog({ ...catalog, providers }))
  )
}

/** What the client got, and whether it was told that it is all. */
const drained = (models: typeof LanguageModels.Service, protocol: ProtocolName) => {
  const payloads: Array<string> = []
  let end: "whole" | "broken" | null = null
  const take = (stream: ChatStream): void =>
    stream.next((told) => {
      if (told instanceof ProviderError) end = "broken"
      else if (told.length === 0) {
        end = "whole"
        payloads.push(stream.usageChunk() ?? "")
      } else {
        payloads.push(...told)
        take(stream)
      }
    })
  const limits = { timeoutMs: 1000, protocol, answerId: "01980000-0000-7000-8000-000000000000" }
  const release = models.stream(modelOf("m", "up"), { ...asked[protocol], stream: true }, limits, (opened) => {
    if (opened instanceof ProviderError) end = "broken"
    else take(opened)
  })
  release()
  return { end: end as "whole" | "broken" | null, payloads }
}

describe("a stream that ends after any of its bytes", () => {
  for (const kind of providerKindNames) {
    const said = spoken[kind]
    if (said === undefined) continue
    const text = textOf(said)
    const found = said.whole.exec(text)
    const wholeAt = (found?.index ?? Infinity) + (found?.[0].length ?? 0) - 1

    it.effect(`is whole for no client before a model of kind ${kind} has said so`, () => {
      const ending = new Ending()
      return Effect.gen(function* () {
        const models = yield* LanguageModels
        assert.isBelow(wholeAt, text.length)
        for (const door of doors) {
          // Translated streams read what the protocol's own automaton lets through.
          const step = door === providerKinds[kind].protocol ? 1 : 3
          for (let at = 0; at <= text.length; at += step) {
            ending.bytes = Buffer.from(text.slice(0, at))
            ending.breaks = at % 2 === 0
            const { end, payloads } = drained(models, door)
            if (at < wholeAt) assert.strictEqual(end, "broken", `${door}, ${at} bytes`)
            else if (end === "whole") assert.include(payloads.join(""), " b", `${door}, ${at} bytes`)
          }
          ending.breaks = false
          ending.bytes = Buffer.from(text)
          assert.strictEqual(drained(models, door).end, "whole", door)
        }
      }).pipe(Effect.provide(modelsOf(kind, ending)))
    })
  }
})
