import type { Clock } from "effect/Clock"
import { providerKinds } from "../../domain/models/ProviderKind.ts"
import { type Abilities, type Capability, lacking } from "../../domain/routing/Capability.ts"
import { adjustmentsOf, type Dialect, dialectAfter } from "../../domain/routing/Dialect.ts"
import type { RoutingRequest } from "../../domain/routing/Decision.ts"
import { ModelId } from "../../domain/basics/Ids.ts"
import type { Model } from "../../domain/routing/Model.ts"
import type { ModelCatalogShape } from "../../services/models/ModelCatalog.ts"
import type { CallLimits, ChatBody, ProviderError } from "../../services/models/LanguageModels.ts"

/** How long a refusal is remembered: an upstream that learns something is asked again. */
const rememberedMillis = 60 * 60_000

/** Estimates of short prompts say little: what stands around them counts too. */
const leastTokens = 64
/** The moving mean of counted over estimated tokens reaches back over about so many answers. */
const recentAnswers = 20
const ratioLimit = 5

/** What calls have taught of one model. */
interface Known {
  /** By capability: until when it counts as lacking, Unix milliseconds. */
  readonly lacks: Map<Capability, number>
  dialect: Dialect
  /** Mean of ln(counted / estimated) input tokens, and of how many answers. */
  logRatio: number
  answers: number
  /** Turns that could have been read from the provider's cache, and those that were. */
  cacheTurns: number
  cacheReads: number
}

/**
 * What calls teach of models besides their quality: what they refuse, how they spell a request, how they count tokens.
 * Of this process alone: what is forgotten costs one refusal.
 */
export interface Experience {
  /** What the model can do, as far as anybody says: the configuration, then its refusals, then the table of families. */
  readonly abilities: (model: Model) => Abilities
  readonly dialect: (model: Model) => Dialect
  /** How this model is asked. */
  readonly limits: (model: Model, body: ChatBody) => Pick<CallLimits, "adjustments" | "dialect" | "streamUsage">
  /** What the request needs and the model lacks. */
  readonly lacks: (model: Model, request: RoutingRequest) => Capability | null
  /** Estimated for all models, corrected by what this one counts. */
  readonly inputTokens: (model: Model, estimated: number) => number
  /** A call was refused; answers whether the same model may take the request once it is spelt as it says. */
  readonly refused: (model: Model, body: ChatBody, error: ProviderError) => boolean
  /** A model answered; what others refused of the same request was therefore theirs. */
  readonly answered: (model: Model, request: RoutingRequest, errors: ReadonlyArray<ProviderError>) => void
  readonly counted: (model: ModelId, estimated: number, inputTokens: number) => void
  /** How often the provider reads what its cache may have, [0, 1]: nine of ten until it has shown otherwise. */
  readonly cacheHits: (model: ModelId) => number
  /** A turn that the cache may have had was answered. */
  readonly couldRead: (model: ModelId, hasRead: boolean) => void
}

/** What the model refused counts as lacking, unless the configuration says otherwise. */
const abilitiesAfter = ({ lacks }: Known, { abilities }: Model, now: number): Abilities => {
  const refused = [...lacks].filter(([, until]) => now < until)
  const learned = Object.fromEntries(
    refused
      .filter(([name]) => abilities[name]?.source !== "configuration")
      .map(([name]) => [name, { can: false, source: "refusal" as const }])
  )
  return { ...abilities, ...learned }
}

/** Of a model that has taught nothing of it, as most have not. */
const plainDialect: Dialect = {}

const nothingKnown = (): Known => ({
  lacks: new Map(),
  dialect: plainDialect,
  logRatio: 0,
  answers: 0,
  cacheTurns: 0,
  cacheReads: 0
})

const learnRatio = (known: Known, counted: number): void => {
  const ratio = Math.min(ratioLimit, Math.max(1 / ratioLimit, counted))
  known.answers = Math.min(known.answers + 1, recentAnswers)
  known.logRatio += (Math.log(ratio) - known.logRatio) / known.answers
}

const learnCache = (known: Known, hasRead: boolean): void => {
  known.cacheTurns += 1
  if (hasRead) known.cacheReads += 1
}

type CatalogNow = Pick<ModelCatalogShape, "current">

/** Of what only one protocol has, upstreams of every other one lack all. */
const lackOf = (
  { id, provider }: Model,
  abilities: Abilities,
  { needs, pinned, protocol }: RoutingRequest,
  catalog: CatalogNow
): Capability | null => {
  const kind = catalog.current().providers.get(provider)?.kind ?? "simulated"
  const isForeign = protocol !== undefined && kind !== "simulated" && providerKinds[kind].protocol !== protocol
  return isForeign && needs.includes("native_tools") ? "native_tools" : lacking(needs, abilities, pinned === id)
}

/** Returns whether the refusal taught something new. */
const learnDialect = (known: Known, body: ChatBody, parameter: string): boolean => {
  const taught = dialectAfter(body, parameter)
  if (taught === null || parameter in known.dialect) return false
  known.dialect = { ...known.dialect, ...taught }
  return true
}

export const make = (clock: Clock, catalog: CatalogNow): Experience => {
  const byModel = new Map<Model["id"], Known>()
  const withoutStreamUsage = new Set<string>()
  const knownOf = (model: Model["id"]): Known => {
    const known = byModel.get(model) ?? nothingKnown()
    byModel.set(model, known)
    return known
  }

  const abilities: Experience["abilities"] = (model) => {
    const known = byModel.get(model.id)
    return known === undefined || known.lacks.size === 0
      ? model.abilities
      : abilitiesAfter(known, model, clock.unsafeCurrentTimeMillis())
  }

  const dialect: Experience["dialect"] = (model) => {
    const taught = byModel.get(model.id)?.dialect ?? plainDialect
    return taught === plainDialect ? model.dialect : { ...taught, ...model.dialect }
  }

  return {
    abilities,
    dialect,
    limits: (model, body) => {
      const spoken = dialect(model)
      return {
        adjustments: adjustmentsOf(body, spoken),
        dialect: spoken,
        streamUsage:
          catalog.current().providers.get(model.provider)?.streamUsage !== false &&
          !withoutStreamUsage.has(model.provider)
      }
    },
    lacks: (model, request) => (request.needs.length === 0 ? null : lackOf(model, abilities(model), request, catalog)),
    inputTokens: (model, estimated) => {
      const known = byModel.get(model.id)
      return known === undefined || known.answers === 0 ? estimated : Math.ceil(estimated * Math.exp(known.logRatio))
    },
    refused: (model, body, { parameter, reason }) => {
      if (reason !== "unsupported" || parameter === null) return false
      if (parameter === "stream_options") {
        if (body["stream"] !== true || withoutStreamUsage.has(model.provider)) return false
        withoutStreamUsage.add(model.provider)
        return true
      }
      return parameter in model.dialect ? false : learnDialect(knownOf(model.id), body, parameter)
    },
    answered: (model, request, errors) => {
      for (const need of request.needs) byModel.get(model.id)?.lacks.delete(need)
      for (const error of errors) {
        if (error.lacks === null || error.model === model.id || !request.needs.includes(error.lacks)) continue
        knownOf(ModelId(error.model)).lacks.set(error.lacks, clock.unsafeCurrentTimeMillis() + rememberedMillis)
      }
    },
    cacheHits: (model) => {
      const { cacheReads, cacheTurns } = byModel.get(model) ?? { cacheReads: 0, cacheTurns: 0 }
      return (cacheReads + 9) / (cacheTurns + 10)
    },
    couldRead: (model, hasRead) => learnCache(knownOf(model), hasRead),
    counted: (model, estimated, inputTokens) => {
      if (estimated < leastTokens || inputTokens <= 0) return
      learnRatio(knownOf(model), inputTokens / estimated)
    }
  }
}
