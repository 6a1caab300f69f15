import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Catalog } from "../../services/models/ModelCatalog.ts"

export type CatalogListener = (catalog: Catalog) => Effect.Effect<void>

/** Who is told of a new catalogue, in the order in which they came: who depends on another one comes after it. */
export class CatalogListeners {
  private readonly listeners = new Set<CatalogListener>()

  /** Told of `current` at once, and of each new one until the scope closes. */
  add(listener: CatalogListener, current: () => Catalog): Effect.Effect<void, never, Scope.Scope> {
    return Effect.zipRight(
      Effect.suspend(() => listener(current())),
      Effect.acquireRelease(
        Effect.sync(() => void this.listeners.add(listener)),
        () => Effect.sync(() => void this.listeners.delete(listener))
      )
    )
  }

  tell(catalog: Catalog): Effect.Effect<void> {
    return Effect.forEach([...this.listeners], (listener) => listener(catalog), { discard: true })
  }
}
