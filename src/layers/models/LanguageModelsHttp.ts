import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { Dispatcher } from "undici"
import { Deadlines } from "../../domain/basics/Deadlines.ts"
import { providerKinds } from "../../domain/models/ProviderKind.ts"
import { embeddings, type UpstreamProtocol, upstreamProtocols } from "../../domain/models/Upstream.ts"
import { changesOf } from "../../domain/routing/Dialect.ts"
import type { Model } from "../../domain/routing/Model.ts"
import {
  type CallLimits,
  type ChatBody,
  LanguageModels,
  type LanguageModelsShape,
  ProviderError
} from "../../services/models/LanguageModels.ts"
import { type Catalog, ModelCatalog, type Provider } from "../../services/models/ModelCatalog.ts"
import { UpstreamPools } from "../../services/models/UpstreamPools.ts"
import { amazonHeaders } from "./AmazonSigning.ts"
import { EventStream } from "./EventStream.ts"
import { choicesAsked, labelOf } from "./Label.ts"
import { operationUrl } from "../../domain/models/Endpoint.ts"
import { failure } from "./ProviderErrors.ts"
import { defaultHeaders, keyHeaders } from "./ProviderHeaders.ts"
import { translating } from "./Translation.ts"
import type { Target } from "./UpstreamCall.ts"
import { type CallParts, WholeCall } from "./WholeAnswer.ts"

interface SpokenTarget extends Target {
  readonly provider: Provider
  readonly protocol: UpstreamProtocol
}
interface Endpoint extends Omit<SpokenTarget, "model" | "path" | "silence"> {
  readonly isStream: boolean
}

const eventStream = "text/event-stream"
const noLimits = { firstByteMs: null, idleMs: null }

const protocolOf = ({ kind }: Provider) => (kind === "simulated" ? "chat" : providerKinds[kind].protocol)

const spokenTo = (provider: Provider): UpstreamProtocol => upstreamProtocols[protocolOf(provider)]

const pathOf = ({ isStream, protocol, provider }: Endpoint, { upstream }: Model) => {
  const { pathname, search } = operationUrl(provider.baseUrl, protocol.operation(upstream, isStream))
  return `${pathname}${search}`
}

/** Vectors are made under an address of the provider's kind. */
const embeddingsOf = ({ kind }: Provider): UpstreamProtocol =>
  kind === "simulated" ? embeddings : { ...embeddings, operation: () => providerKinds[kind].embeddings }

const secretsOf = ({ amazon, apiKey }: Provider): ReadonlyArray<string> =>
  [apiKey, amazon?.secretAccessKey ?? null, amazon?.sessionToken ?? null].flatMap((secret) =>
    secret === null ? [] : [Redacted.value(secret)]
  )

const endpointOf = (
  provider: Provider,
  dispatcher: Dispatcher,
  accept: string,
  protocol: UpstreamProtocol
): Endpoint => {
  return {
    dispatcher,
    provider,
    protocol,
    isStream: accept === eventStream,
    headers: { "content-type": "application/json", accept, ...defaultHeaders(provider), ...keyHeaders(provider) },
    secrets: secretsOf(provider)
  }
}

/** JSON of a body nested deeper than the stack is refused, as a model would refuse it. */
const encode = (
  { requestText }: UpstreamProtocol,
  body: ChatBody,
  model: Model,
  { adjustments = [], streamUsage = true }: CallLimits,
  stream: boolean
): string | ProviderError => {
  try {
    return requestText(body, {
      upstream: model.upstream,
      provider: model.provider,
      stream,
      asksForUsage: stream && streamUsage,
      changes: changesOf(body, adjustments, streamUsage)
    })
  } catch {
    return failure(model.id, "rejected", null, "the request is nested too deeply")
  }
}

/** Where the models of one catalogue are called, by the kind of answer. */
class Targets {
  readonly #endpoints: ReadonlyMap<string, Endpoint>
  readonly #byModel = new Map<Model, SpokenTarget>()

  constructor(endpoints: ReadonlyMap<string, Endpoint>) {
    this.#endpoints = endpoints
  }

  /** Null if the provider is none of the catalogue's. */
  of(model: Model, { forwarded, headers: more }: CallLimits): SpokenTarget | null {
    const target = this.#byModel.get(model) ?? this.#add(model)
    if (target === null || (more === undefined && forwarded === undefined)) return target
    return { ...target, headers: { ...more, ...target.headers, ...forwarded } }
  }

  #add(model: Model): SpokenTarget | null {
    const endpoint = this.#endpoints.get(model.provider)
    if (endpoint === undefined) return null
    const target = {
      ...endpoint,
      path: pathOf(endpoint, model),
      model: model.id,
      silence: model.timeouts ?? noLimits
    }
    this.#byModel.set(model, target)
    return target
  }
}

/** Amazon's calls without a key are signed, each by its body and its time. */
const signed = (target: SpokenTarget, body: string, clock: Clock.Clock): SpokenTarget => {
  const { amazon, baseUrl } = target.provider
  if (amazon === undefined) return target
  const call = { host: new URL(baseUrl).host, path: target.path, body, millis: clock.unsafeCurrentTimeMillis() }
  return { ...target, headers: { ...target.headers, ...amazonHeaders(amazon, call) } }
}

const noProvider = ({ id, provider }: Model): ProviderError =>
  failure(id, "connection", null, `there is no provider ${JSON.stringify(provider)}`)

/** Calls providers, each in its protocol, and passes what they say through to clients of the same one. Whole, because its calls share their targets. */
export const layer: Layer.Layer<LanguageModels, never, ModelCatalog | UpstreamPools> = Layer.scoped(
  LanguageModels,
  Effect.gen(function* () {
    const catalog = yield* ModelCatalog
    const upstreams = yield* UpstreamPools

    const targets = ({ providers }: Catalog, accept: string, protocolOf: (provider: Provider) => UpstreamProtocol) =>
      new Targets(
        new Map(
          [...upstreams.pools()].flatMap(([name, dispatcher]) => {
            const provider = providers.get(name)
            return provider === undefined
              ? []
              : [[name, endpointOf(provider, dispatcher, accept, protocolOf(provider))]]
          })
        )
      )
    const of = (catalog: Catalog) => ({
      whole: targets(catalog, "application/json", spokenTo),
      streamed: targets(catalog, eventStream, spokenTo),
      embeddings: targets(catalog, "application/json", embeddingsOf)
    })
    let known = of(catalog.current())
    // After the pools, which are made first.
    yield* catalog.onChange((now) =>
      Effect.sync(() => {
        known = of(now)
      })
    )

    const clock = yield* Effect.clock
    const deadlines = yield* Effect.acquireRelease(
      Effect.sync(() => new Deadlines({ nowMillis: () => clock.unsafeCurrentTimeMillis(), sleep })),
      (all) => Effect.sync(() => all.stop())
    )
    const partsOf = (
      kind: "whole" | "streamed" | "embeddings",
      model: Model,
      body: ChatBody,
      limits: CallLimits
    ): CallParts | ProviderError => {
      const target = known[kind].of(model, limits)
      if (target === null) return noProvider(model)
      const json = encode(target.protocol, body, model, limits, kind === "streamed")
      return json instanceof ProviderError
        ? json
        : {
            target: signed(target, json, clock),
            protocol: target.protocol,
            body: json,
            timeoutMs: limits.timeoutMs,
            clock,
            deadlines,
            label: labelOf(model, body, limits, clock, target.protocol.name),
            choices: choicesAsked(body)
          }
    }

    const called: LanguageModelsShape = {
      complete: (model, body, limits, done) => {
        const parts = partsOf(limits.operation ?? "whole", model, body, limits)
        if (!(parts instanceof ProviderError)) return new WholeCall(parts, done).abort
        done(parts)
        return nothing
      },

      stream: (model, body, limits, opened) => {
        const parts = partsOf("streamed", model, body, limits)
        if (!(parts instanceof ProviderError)) return new EventStream(parts, opened).release
        opened(parts)
        return nothing
      }
    }
    const spokenBy = ({ provider }: Model) => {
      const found = catalog.current().providers.get(provider)
      return found === undefined ? "chat" : protocolOf(found)
    }
    return LanguageModels.of(translating(called, spokenBy, clock))
  })
)

const sleep = (millis: number, wake: () => void) => {
  const timer = setTimeout(wake, millis)
  return () => clearTimeout(timer)
}

/** Releases a call that was never made. */
const nothing = () => {}
