import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { type Dispatcher, EnvHttpProxyAgent, Pool } from "undici"
import { isLoopback } from "../../domain/basics/Loopback.ts"
import { Settings, type SettingsShape } from "../../services/running/Settings.ts"
import { type Catalog, ModelCatalog } from "../../services/models/ModelCatalog.ts"
import { Telemetry } from "../../services/observing/Telemetry.ts"
import { UpstreamPools } from "../../services/models/UpstreamPools.ts"
import { Connections } from "./Connections.ts"

/**
 * Sockets to one origin. More calls wait for a free one, first come first served, each within its own time limit;
 * there are never more of them than requests in flight, which the server bounds.
 */
const connectionsPerOrigin = 1024

/** Some providers send 20 kB of them. */
const maxHeaderBytes = 64 * 1024

const options = {
  pipelining: 1,
  connect: { timeout: 10_000 },
  maxHeaderSize: maxHeaderBytes,
  // Callers have their own limits, by request.
  headersTimeout: 0,
  bodyTimeout: 0
}

/** The sockets to one origin, and what may be done with them. */
interface Upstream {
  readonly dispatcher: Dispatcher
  readonly count: (state: "connected" | "running" | "queued") => number
  readonly close: () => Promise<unknown>
  readonly destroy: () => Promise<unknown>
}

const direct = (origin: string): Upstream => {
  const connections = new Connections(origin, connectionsPerOrigin, options)
  return {
    dispatcher: connections,
    count: (state) => connections.count(state),
    close: () => connections.close(),
    destroy: () => connections.destroy()
  }
}

/** Through the proxy of the origin's scheme, unless it is one of those that are called without. */
const proxied = (origin: string, { http, https, no }: SettingsShape["models"]["proxy"]): Upstream => {
  const pools: Array<Pool> = []
  const addressOf = Option.match({ onNone: () => "", onSome: (url: Redacted.Redacted) => Redacted.value(url) })
  const agent = new EnvHttpProxyAgent({
    ...options,
    connections: connectionsPerOrigin,
    // Empty, so that the library looks for none in the environment itself.
    httpProxy: addressOf(http),
    httpsProxy: addressOf(https),
    noProxy: no,
    factory: (to, poolOptions) => {
      const pool = new Pool(to, poolOptions)
      pools.push(pool)
      return pool
    }
  })
  return {
    dispatcher: agent.compose((dispatch) => (call, handler) => dispatch({ ...call, origin }, handler)),
    count: (state) => pools.reduce((sum, { stats }) => sum + stats[state], 0),
    close: () => agent.close(),
    destroy: () => agent.destroy()
  }
}

export const upstreamOf = (origin: string, { proxy }: SettingsShape["models"]): Upstream => {
  const { hostname, protocol } = new URL(origin)
  const isProxied = Option.isSome(protocol === "https:" ? proxy.https : proxy.http)
  return isProxied && !isLoopback(hostname.replace(/^\[(.*)\]$/, "$1")) ? proxied(origin, proxy) : direct(origin)
}

export const layer: Layer.Layer<UpstreamPools, never, ModelCatalog | Settings | Telemetry> = Layer.scoped(
  UpstreamPools,
  Effect.gen(function* () {
    const catalog = yield* ModelCatalog
    const telemetry = yield* Telemetry
    const { models } = yield* Settings
    const byOrigin = new Map<string, Upstream>()
    /** Without an origin in the catalogue; until their last call has ended. */
    const leaving = new Set<Upstream>()
    for (const state of ["connected", "running", "queued"] as const) {
      yield* telemetry.gauge(
        "conduit_upstream_connections",
        "Sockets to providers that are connected, calls that run on them, and calls that wait for one",
        () => [...byOrigin.values(), ...leaving].reduce((sum, { count }) => sum + count(state), 0),
        { state }
      )
    }

    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        const all = [...byOrigin.values(), ...leaving]
        return Effect.promise(() => Promise.all(all.map((pool) => pool.close()))).pipe(
          // The flush phase has a limit.
          Effect.interruptible,
          // Cuts what did not close; not waited for, the process ends now.
          Effect.ensuring(
            Effect.sync(() => {
              for (const pool of all) pool.destroy().catch(() => undefined)
            })
          )
        )
      })
    )

    const retire = (origin: string, upstream: Upstream) => {
      byOrigin.delete(origin)
      leaving.add(upstream)
      const left = () => void leaving.delete(upstream)
      upstream.close().then(left, left)
    }

    const poolsFor = ({ providers }: Catalog): ReadonlyMap<string, Dispatcher> => {
      const pools = new Map<string, Dispatcher>()
      for (const provider of providers.values()) {
        // One that lacks a variable has no address yet, and no model that could be chosen.
        if (provider.kind === "simulated" || !URL.canParse(provider.baseUrl)) continue
        const { origin } = new URL(provider.baseUrl)
        const upstream = byOrigin.get(origin) ?? upstreamOf(origin, models)
        byOrigin.set(origin, upstream)
        pools.set(provider.name, upstream.dispatcher)
      }
      const used = new Set<Dispatcher>(pools.values())
      for (const [origin, upstream] of byOrigin) if (!used.has(upstream.dispatcher)) retire(origin, upstream)
      return pools
    }

    let pools: ReadonlyMap<string, Dispatcher> = new Map()
    yield* catalog.onChange((now) =>
      Effect.sync(() => {
        pools = poolsFor(now)
      })
    )
    return UpstreamPools.of({ pools: () => pools })
  })
)
