import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type { Dispatcher } from "undici"
import { transportDetail } from "../../domain/basics/TransportDetail.ts"
import { operationUrl } from "../../domain/models/Endpoint.ts"
import { type ModelList, readModelList } from "../../domain/models/ModelList.ts"
import { type Catalog, ModelCatalog, type Provider } from "../../services/models/ModelCatalog.ts"
import { UpstreamPools } from "../../services/models/UpstreamPools.ts"
import * as EpisodeLog from "../../services/observing/EpisodeLog.ts"
import { Telemetry } from "../../services/observing/Telemetry.ts"
import { Settings } from "../../services/running/Settings.ts"
import { decodingOf } from "./Decoding.ts"
import { defaultHeaders, keyHeaders } from "./ProviderHeaders.ts"
import { headerOf } from "./ResponseHeaders.ts"

/** For one list, from the question to its last byte. */
const limit = Duration.seconds(10)
/** The longest that a provider is known to send has a tenth of this. */
const maxBytes = 8 * 1024 * 1024
/** Providers that are asked at the same time. */
const concurrency = 4

/** Statuses by which a server says that it has no list. */
const listless: ReadonlySet<number> = new Set([404, 405, 410, 501])

export interface Listing extends Provider {
  readonly modelList: string
}

export const isListing = (provider: Provider): provider is Listing =>
  provider.kind !== "simulated" && provider.missing.length === 0 && provider.modelList !== null

/** Who is asked, and where: a catalogue that differs in something else needs no new lists. */
const addressesOf = ({ providers }: Catalog): string =>
  JSON.stringify(
    [...providers.values()].filter(isListing).map(({ baseUrl, modelList, name }) => [name, baseUrl, modelList])
  )

/**
 * Asks each provider what it says of its models, at start and again and again, and tells the catalogue. Nothing waits
 * for it, and what fails changes nothing: it is counted, and logged when it begins and when it is over.
 */
export const layer: Layer.Layer<never, never, ModelCatalog | UpstreamPools | Telemetry | Settings> =
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const catalog = yield* ModelCatalog
      const upstreams = yield* UpstreamPools
      const telemetry = yield* Telemetry
      const { models } = yield* Settings
      if (Duration.equals(models.listInterval, Duration.zero)) return

      const troubles = new Map<string, EpisodeLog.EpisodeLog<string>>()
      const troubleOf = (provider: string) => {
        const trouble = troubles.get(provider) ?? troubleWith(provider)
        troubles.set(provider, trouble)
        return trouble
      }

      const readOne = Effect.fnUntraced(function* (provider: Listing) {
        const { name } = provider
        const dispatcher = upstreams.pools().get(name)
        if (dispatcher === undefined) return
        const read = yield* Effect.either(listOf(provider, dispatcher))
        if (Either.isLeft(read)) {
          telemetry.modelListRead(name, "failed")
          return yield* troubleOf(name).failed(read.left)
        }
        telemetry.modelListRead(name, read.right === null ? "none" : "ok")
        yield* troubleOf(name).worked
        if (read.right !== null) yield* catalog.listed(name, read.right)
      })

      const changed = yield* Queue.sliding<void>(1)
      let asked = addressesOf(catalog.current())
      yield* catalog.onChange((now) =>
        Effect.suspend(() => {
          const addresses = addressesOf(now)
          if (addresses === asked) return Effect.void
          asked = addresses
          return Effect.asVoid(Queue.offer(changed, undefined))
        })
      )
      const readAll = Effect.suspend(() =>
        Effect.forEach([...catalog.current().providers.values()].filter(isListing), readOne, {
          concurrency,
          discard: true
        })
      )
      yield* Effect.forkScoped(
        Effect.forever(Effect.zipRight(readAll, Effect.race(Effect.sleep(models.listInterval), Queue.take(changed))))
      )
    })
  )

const troubleWith = (provider: string): EpisodeLog.EpisodeLog<string> =>
  EpisodeLog.make<string>({
    began: (detail) =>
      Effect.logWarning(
        `the models that provider ${provider} lists were not read: ${detail}; what was known of them counts on`
      ),
    ended: ({ failures, seconds }) =>
      Effect.logInfo(
        `the models that provider ${provider} lists are read again, after ${seconds} s and ${failures} failures`
      )
  })

/** Null where the provider has no list; or why it was not read, in words without address and key. */
export const listOf = (provider: Listing, dispatcher: Dispatcher): Effect.Effect<ModelList | null, string> =>
  Effect.gen(function* () {
    const { status, text } = yield* Effect.tryPromise({
      try: (signal) => bodyOf(provider, dispatcher, signal),
      catch: transportDetail
    })
    if (listless.has(status)) return null
    if (status !== 200) return yield* Effect.fail(`it answers ${status}`)
    const list = readModelList(text, yield* Clock.currentTimeMillis)
    return list ?? (yield* Effect.fail("what it answers is no list of models"))
  }).pipe(Effect.timeoutFail({ duration: limit, onTimeout: () => `no answer within ${Duration.toSeconds(limit)} s` }))

const bodyOf = async (
  provider: Listing,
  dispatcher: Dispatcher,
  signal: AbortSignal
): Promise<{ readonly status: number; readonly text: string }> => {
  const { origin, pathname, search } = operationUrl(provider.baseUrl, provider.modelList)
  const { body, headers, statusCode } = await dispatcher.request({
    origin,
    path: `${pathname}${search}`,
    method: "GET",
    signal,
    headers: {
      accept: "application/json",
      "accept-encoding": "identity",
      ...defaultHeaders(provider),
      ...keyHeaders(provider)
    }
  })
  const text = await new Promise<string>((resolve, reject) => {
    const chunks: Array<Buffer> = []
    let bytes = 0
    const failed = (error: unknown) => {
      body.destroy()
      reject(error instanceof Error ? error : new Error(String(error)))
    }
    const data = (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > maxBytes) failed(new Error("its list is too large"))
      else chunks.push(chunk)
    }
    const end = () => resolve(Buffer.concat(chunks).toString("utf8"))
    const decoding = decodingOf(headerOf(headers, "content-encoding") ?? "", { data, end, error: failed })
    body.on("data", (chunk: Buffer) => (decoding === null ? data(chunk) : decoding.push(chunk)))
    body.on("end", () => (decoding === null ? end() : decoding.end()))
    body.on("error", failed)
  })
  return { status: statusCode, text }
}
