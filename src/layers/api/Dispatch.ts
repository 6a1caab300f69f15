import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { Deadlines } from "../../domain/basics/Deadlines.ts"
import type { KeyHolder } from "../../domain/access/ApiKey.ts"
import type { ModelId } from "../../domain/basics/Ids.ts"
import { version } from "../../domain/basics/Version.ts"
import { planConstants } from "../../domain/learning/CommitPlan.ts"
import { KeyAdministration, Keys } from "../../services/api/Keys.ts"
import { isServedBy, routes, type RoutesOf } from "../../services/api/Routes.ts"
import { ModelCatalog } from "../../services/models/ModelCatalog.ts"
import { Telemetry } from "../../services/observing/Telemetry.ts"
import { Tracing } from "../../services/observing/Tracing.ts"
import { Metering, type MeteringShape } from "../../services/routing/Metering.ts"
import { type Caller, Router } from "../../services/routing/Router.ts"
import { Ids } from "../../services/running/Ids.ts"
import { InFlight } from "../../services/running/InFlight.ts"
import { Lifecycle } from "../../services/running/Lifecycle.ts"
import { pageNames } from "../../services/running/settings/Parsers.ts"
import { Settings, type SettingsShape } from "../../services/running/Settings.ts"
import { authenticators } from "./Auth.ts"
import * as Budgets from "./BudgetsHandler.ts"
import * as Chat from "./Chat.ts"
import type { Exchange } from "./Exchange.ts"
import { FairShare } from "./FairShare.ts"
import { bodyReader, type Handler } from "./Handler.ts"
import { RouteNotFound } from "./HttpErrors.ts"
import { phaseOf } from "./Health.ts"
import * as KeysHandler from "./KeysHandler.ts"
import * as LiveStream from "./LiveStream.ts"
import * as Lookups from "./Lookups.ts"
import * as Pages from "./Pages.ts"
import { routeOf } from "./RouteFinder.ts"
import type { Serving } from "./Serving.ts"
import * as Stats from "./StatsHandler.ts"
import * as Submissions from "./Submissions.ts"

/** Takes an exchange to what serves its route: finds the route, checks the key, hands it on. Whole, because it is a table: one row a route. */
export const make = (
  serving: Serving
): Effect.Effect<
  (exchange: Exchange) => void,
  never,
  | Ids
  | InFlight
  | KeyAdministration
  | Keys
  | Lifecycle
  | Metering
  | ModelCatalog
  | Router
  | Settings
  | Scope.Scope
  | Telemetry
  | Tracing
> =>
  Effect.gen(function* () {
    const { http, production } = yield* Settings
    const keys = yield* Keys
    const metering = yield* Metering
    const router = yield* Router
    const tracing = yield* Tracing
    const catalog = yield* ModelCatalog
    const limits = {
      bytes: http.maxBodyBytes,
      millis: Duration.toMillis(http.bodyTimeout),
      deadlines: yield* bodyDeadlines,
      // A key alone can always send a body of the largest size.
      room: new FairShare(Math.max(http.maxBodiesBytes, FairShare.for(http.maxBodyBytes)))
    }
    const preferred = () => catalog.current().policy.preference
    const reference = () => ({
      costUsd: catalog.current().costReferenceUsd,
      paramsOf: (model: ModelId) => catalog.current().byId.get(model)?.params,
      latencySeconds: planConstants.latencyReferenceSeconds
    })
    const startedAtSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const submission = { router, preferred, reference, ids: yield* Ids, readBody: bodyReader(limits, tracing) }
    const lookup = { router, reference, startedAtSeconds, aliases: () => catalog.current().aliases }
    const pages = yield* Pages.make
    const lifecycle = yield* Lifecycle
    const inFlight = yield* InFlight
    const watched = {
      router,
      reference,
      models: (caller: Caller) => Lookups.modelList(lookup, caller),
      state: (key: KeyHolder | null) => ({
        scopes: key?.scopes ?? null,
        version,
        phase: phaseOf(lifecycle),
        stopping: lifecycle.stopping(),
        in_flight: inFlight.count(),
        started_at: new Date(startedAtSeconds * 1000).toISOString(),
        algorithm: catalog.current().policy.algorithm,
        preference: preferred()
      })
    }

    const keepAliveMs = Duration.toMillis(http.streamKeepAlive)
    const core = Chat.make({ router, catalog, tracing, serving, limits, keepAliveMs, preferred })
    const handlers: { readonly [Name in RoutesOf<"handler">]: Handler } = {
      route: Submissions.route(submission),
      countTokens: Submissions.countTokens(submission),
      countContentTokens: Submissions.countContentTokens(submission),
      googleModels: Lookups.models(lookup),
      googleModel: Lookups.model(lookup),
      outcomes: Submissions.outcomes(submission),
      feedback: Submissions.feedback(submission),
      decisions: Lookups.decisions(lookup),
      decision: Lookups.decision(lookup),
      stats: Stats.make(router, reference),
      budgets: Budgets.make(keys, metering),
      models: Lookups.models(lookup),
      model: Lookups.model(lookup),
      ...KeysHandler.make({ keys: yield* KeyAdministration, readBody: bodyReader(limits, tracing) }),
      metrics: Pages.metrics(yield* Telemetry),
      events: LiveStream.make(watched),
      ...pages
    }
    const authenticate = authenticators({
      keys,
      metricsKeyHashes: http.metricsKeyHashes,
      publicPages: publicPagesOf({ http, production })
    })

    return (exchange) => {
      const { request, target } = exchange
      if (request.method === "OPTIONS" && target !== null) return exchange.answerOptions(target.path.allow)
      const route = routeOf(target, request.method, request.url ?? "/")
      if (Either.isLeft(route)) return exchange.fail(route.left)
      const name = route.right
      const admitted = authenticate[routes[name].access](exchange)
      if (Either.isLeft(admitted)) return exchange.fail(admitted.left)
      exchange.caller = admitted.right.caller
      exchange.key = admitted.right.key
      if (routes[name].access === "route") bounded(exchange, metering)
      if (isServedBy(name, "core")) return serving.call(exchange, () => core[name](exchange))
      if (isServedBy(name, "handler"))
        return serving.fork(
          exchange,
          Effect.suspend(() => handlers[name](exchange))
        )
      return exchange.fail(new RouteNotFound({ hint: null }))
    }
  })

/** By real time: bodies come over sockets. */
const bodyDeadlines = Effect.acquireRelease(
  Effect.sync(() => new Deadlines({ nowMillis: () => performance.now(), sleep })),
  (all) => Effect.sync(() => all.stop())
)

const sleep = (millis: number, wake: () => void) => {
  const timer = setTimeout(wake, millis)
  return () => clearTimeout(timer)
}

const publicPagesOf = ({ http, production }: Pick<SettingsShape, "http" | "production">) =>
  Option.getOrElse(http.publicPages, () => (production ? [] : pageNames))

/** Whatever it is answered says what is left. */
const bounded = (exchange: Exchange, metering: MeteringShape): void => {
  const meter = metering.of(exchange.key, (headers) => {
    exchange.limits = { ...exchange.limits, ...headers }
  })
  if (meter !== null) exchange.caller = { ...exchange.caller, meter }
}
