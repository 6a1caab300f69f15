import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CatalogListeners } from "../../src/layers/models/CatalogListeners.ts"
import { type Catalog, ModelCatalog } from "../../src/services/models/ModelCatalog.ts"

/** A catalogue that never changes. */
export const fixedCatalog = (catalog: Catalog): Layer.Layer<ModelCatalog> => changingCatalog(catalog).layer

/** A catalogue whose next reload finds what `next` was set to. */
export const changingCatalog = (first: Catalog) => {
  const file = { next: first, reloads: 0 }
  let current = first
  const listeners = new CatalogListeners()
  const layer = Layer.succeed(
    ModelCatalog,
    ModelCatalog.of({
      current: () => current,
      onChange: (made) => listeners.add(made, () => current),
      reload: Effect.suspend(() => {
        file.reloads++
        current = file.next
        return Effect.as(listeners.tell(current), current)
      }),
      listed: () => Effect.void
    })
  )
  return { layer, file }
}
