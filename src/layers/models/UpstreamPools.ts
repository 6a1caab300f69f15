import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type Dispatcher, Pool } from "undici"
import { type Catalog, ModelCatalog } from "../../services/models/ModelCatalog.ts"
import { Telemetry } from "../../services/observing/Telemetry.ts"
import { UpstreamPools } from "../../services/models/UpstreamPools.ts"

/**
 * Sockets to one origin. More calls wait for a free one, first come first served, each within its own time limit;
 * there are never more of them than requests in flight, which the server bounds.
 */
const connectionsPerOrigin = 1024

/** Some providers send 20 kB of them. */
const maxHeaderBytes = 64 * 1024

const poolOf = (origin: string) =>
  new Pool(origin, {
    connections: connectionsPerOrigin,
    pipelining: 1,
    connect: { timeout: 10_000 },
    maxHeaderSize: maxHeaderBytes,
    // Callers have their own limits, by request.
    headersTimeout: 0,
    bodyTimeout: 0
  })

export const layer: Layer.Layer<UpstreamPools, never, ModelCatalog | Telemetry> = Layer.scoped(
  UpstreamPools,
  Effect.gen(function* () {
    const catalog = yield* ModelCatalog
    const telemetry = yield* Telemetry
    const byOrigin = new Map<string, Pool>()
    /** Without an origin in the catalogue; until their last call has ended. */
    const leaving = new Set<Pool>()
    for (const state of ["connected", "running", "queued"] as const) {
      yield* telemetry.gauge(
        "conduit_upstream_connections",
        "Sockets to providers that are connected, calls that run on them, and calls that wait for one",
        () => [...byOrigin.values(), ...leaving].reduce((sum, { stats }) => sum + stats[state], 0),
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

    const retire = (origin: string, pool: Pool) => {
      byOrigin.delete(origin)
      leaving.add(pool)
      pool.close(() => leaving.delete(pool))
    }

    const poolsFor = ({ providers }: Catalog): ReadonlyMap<string, Dispatcher> => {
      const pools = new Map<string, Dispatcher>()
      for (const provider of providers.values()) {
        // One that lacks a variable has no address yet, and no model that could be chosen.
        if (provider.kind === "simulated" || !URL.canParse(provider.baseUrl)) continue
        const { origin } = new URL(provider.baseUrl)
        const pool = byOrigin.get(origin) ?? poolOf(origin)
        byOrigin.set(origin, pool)
        pools.set(provider.name, pool)
      }
      const used = new Set<Dispatcher>(pools.values())
      for (const [origin, pool] of byOrigin) if (!used.has(pool)) retire(origin, pool)
      return pools
    }

    let seen = catalog.current()
    let pools = poolsFor(seen)
    return UpstreamPools.of({
      pools: () => {
        const now = catalog.current()
        if (now !== seen) {
          seen = now
          pools = poolsFor(now)
        }
        return pools
      }
    })
  })
)
