import type { Clock } from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { type CircuitState, circuitStates } from "../../domain/routing/CircuitState.ts"
import { isBarrier } from "../../domain/routing/Constraint.ts"
import type { Decision } from "../../domain/routing/Decision.ts"
import { NoEligibleModel } from "../../services/learning/BanditState.ts"
import type { ModelId } from "../../domain/basics/Ids.ts"
import type { ModelCatalogShape } from "../../services/models/ModelCatalog.ts"
import type { TelemetryShape } from "../../services/observing/Telemetry.ts"
import * as Circuit from "./Circuit.ts"

export interface Circuits {
  readonly of: (model: ModelId) => Circuit.Circuit
  readonly barrier: (model: ModelId) => ReturnType<Circuit.Circuit["barrier"]>
  /** Seconds until the first of these models may be called again. */
  readonly soonestSeconds: (models: ReadonlyArray<string>) => number | null
  /** Told of each decision that had the choice: an outage counts those that its model was left out of. */
  readonly decided: (decision: Decision | NoEligibleModel) => void
  readonly state: (model: ModelId) => CircuitState
}

/** One circuit a model, made when it is first called, and their metrics. */
export const make = ({
  catalog,
  clock,
  telemetry
}: {
  readonly catalog: ModelCatalogShape
  readonly clock: Clock
  readonly telemetry: Pick<TelemetryShape, "gauge">
}): Effect.Effect<Circuits, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const circuits = new Map<string, Circuit.Circuit>()
    const watched = new Set<ModelId>()

    const of = (model: ModelId) => {
      const known = circuits.get(model)
      if (known !== undefined) return known
      const made = Circuit.make()
      circuits.set(model, made)
      return made
    }
    const state = (model: ModelId) => circuits.get(model)?.state(clock.unsafeCurrentTimeMillis()) ?? "closed"

    /** A model that has left the catalogue has no series. */
    const show = (model: ModelId) =>
      Effect.forEach(
        circuitStates,
        (one) =>
          telemetry.gauge(
            "conduit_circuit_state",
            "1 for the state of the model's circuit, 0 for the others",
            () => (!catalog.current().byId.has(model) ? Number.NaN : state(model) === one ? 1 : 0),
            { model, state: one }
          ),
        { discard: true }
      )

    yield* catalog.onChange(({ models }) => {
      const fresh = models.filter(({ id }) => !watched.has(id))
      for (const { id } of fresh) watched.add(id)
      return Scope.extend(
        Effect.forEach(fresh, ({ id }) => show(id), { discard: true }),
        scope
      )
    })

    return {
      of,
      state,
      decided: (decision) => {
        const models = decision instanceof NoEligibleModel ? decision.excluded : decision.candidates
        for (const { excludedBy, model } of models) if (isBarrier(excludedBy)) circuits.get(model)?.keptAway()
      },
      barrier: (model) => circuits.get(model)?.barrier(clock.unsafeCurrentTimeMillis()) ?? null,
      soonestSeconds: (models) => {
        const now = clock.unsafeCurrentTimeMillis()
        const waits = models.flatMap((model) => circuits.get(model)?.opensAtMillis(now) ?? [])
        return waits.length === 0 ? null : (Math.min(...waits) - now) / 1000
      }
    }
  })
