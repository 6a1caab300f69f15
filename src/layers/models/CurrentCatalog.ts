import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ModelList } from "../../domain/models/ModelList.ts"
import type { Catalog } from "../../services/models/ModelCatalog.ts"
import { InvalidSettings } from "../../services/running/Settings.ts"
import { type CatalogListener, CatalogListeners } from "./CatalogListeners.ts"
import type { ModelLists } from "./CatalogModels.ts"
import { changesBetween, endsBetween } from "./Changes.ts"

/** A configuration that was read. */
export interface ReadConfiguration {
  /** For what the providers list. */
  readonly catalog: (lists: ModelLists, nowMillis: number) => Catalog
  /** The same with the keys that the providers' own files have now; null where they have not changed. */
  readonly rekeyed: Effect.Effect<ReadConfiguration | null, InvalidSettings>
}

/**
 * The catalogue that counts, with what it was made of: the configuration as it was read last, and what the providers list.
 * Its steps must run one at a time. Each tells the listeners, and the log what it has changed. Whole, because each is a way to
 * the same two fields.
 */
export class CurrentCatalog {
  readonly #listeners = new CatalogListeners()
  readonly #lists = new Map<string, ModelList>()
  #configuration: ReadConfiguration
  #current: Catalog

  constructor(configuration: ReadConfiguration, nowMillis: number) {
    this.#configuration = configuration
    this.#current = configuration.catalog(this.#lists, nowMillis)
  }

  get current(): Catalog {
    return this.#current
  }

  onChange(listener: CatalogListener): Effect.Effect<void, never, Scope.Scope> {
    return this.#listeners.add(listener, () => this.#current)
  }

  /** Reads the configuration again. What is wrong is logged, and the one before it stays. */
  reload(read: Effect.Effect<ReadConfiguration, InvalidSettings>): Effect.Effect<Catalog, InvalidSettings> {
    return Effect.flatMap(read, (configuration) => this.#reconfigure(configuration)).pipe(
      Effect.tapError((error) =>
        Effect.logError(`the configuration was read again and is not used, the one before it stays: ${error.message}`)
      )
    )
  }

  /** Takes what a provider lists. */
  listed(provider: string, list: ModelList): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      this.#lists.set(provider, list)
      const now = yield* Clock.currentTimeMillis
      const before = this.#current
      const changes = yield* this.#remake(now)
      if (changes === null) return
      if (changes.length > 0) {
        yield* Effect.logInfo(`the models that provider ${provider} lists: ${changes.join("; ")}`)
      }
      for (const end of endsBetween(before, this.#current, now)) {
        yield* Effect.logWarning(`the provider announces an end: ${end}`)
      }
    })
  }

  /** Some prices that ship differ by the hour. */
  readonly reprice = Effect.gen(this, function* () {
    const changes = yield* this.#remake(yield* Clock.currentTimeMillis)
    if (changes !== null) yield* Effect.logInfo(`another hour has other prices: ${changes.join("; ")}`)
  })

  /** Reads the files of the providers' keys again. */
  readonly rekey = Effect.gen(this, function* () {
    const configuration = yield* this.#configuration.rekeyed
    if (configuration === null) return
    const next = configuration.catalog(this.#lists, yield* Clock.currentTimeMillis)
    const changes = yield* this.#replace(configuration, next)
    yield* Effect.logInfo(`the files of the providers' keys were read again: ${changes.join("; ")}`)
  })

  #reconfigure(configuration: ReadConfiguration): Effect.Effect<Catalog, InvalidSettings> {
    return Effect.gen(this, function* () {
      const now = yield* Clock.currentTimeMillis
      const bare = configuration.catalog(new Map(), now)
      if (isSimulated(bare) !== isSimulated(this.#current)) return yield* switched(bare)
      for (const name of this.#lists.keys()) {
        if (!isSameUpstream(name, this.#current, bare)) this.#lists.delete(name)
      }
      const next = configuration.catalog(this.#lists, now)
      const changes = yield* this.#replace(configuration, next)
      for (const notice of next.notices) yield* Effect.logWarning(notice)
      yield* Effect.logInfo(
        changes.length === 0
          ? "the configuration was read again: nothing changed"
          : `the configuration was read again: ${changes.join("; ")}`
      )
      return next
    })
  }

  /** Makes the catalogue again of the same configuration; null where its models are as they were. */
  #remake(nowMillis: number): Effect.Effect<ReadonlyArray<string> | null> {
    const next = this.#configuration.catalog(this.#lists, nowMillis)
    if (JSON.stringify(next.models) === JSON.stringify(this.#current.models)) return Effect.succeed(null)
    return this.#replace(this.#configuration, next)
  }

  /** Answers what has changed. */
  #replace(configuration: ReadConfiguration, next: Catalog): Effect.Effect<ReadonlyArray<string>> {
    const changes = changesBetween(this.#current, next)
    this.#configuration = configuration
    this.#current = next
    return Effect.as(this.#listeners.tell(next), changes)
  }
}

/** A list of another address says nothing of this one's models. */
const isSameUpstream = (name: string, before: Catalog, after: Catalog) => {
  const [was, is] = [before.providers.get(name), after.providers.get(name)]
  return was?.baseUrl === is?.baseUrl && was?.modelList === is?.modelList
}

const isSimulated = ({ models }: Catalog) => models.some((model) => model.simulated)

const switched = (next: Catalog) =>
  new InvalidSettings({
    problems: [
      isSimulated(next)
        ? "without a usable model simulated ones would answer: a reload does not switch to them; complete the configuration, or restart the service"
        : "the models are simulated, and a reload does not switch to configured ones: restart the service"
    ]
  })
