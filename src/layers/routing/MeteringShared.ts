import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Schedule from "effect/Schedule"
import { hasLimit, type KeyHolder } from "../../domain/access/ApiKey.ts"
import { UsedTokens } from "../../domain/access/BudgetLoan.ts"
import { LearningLog } from "../../services/learning/LearningLog.ts"
import * as EpisodeLog from "../../services/observing/EpisodeLog.ts"
import { Telemetry } from "../../services/observing/Telemetry.ts"
import { type BudgetState, LimitReached, Metering } from "../../services/routing/Metering.ts"
import { Settings } from "../../services/running/Settings.ts"
import { type BudgetSubject, subjectName } from "../../services/storage/BudgetStore.ts"
import { Database, type DatabaseError } from "../../services/storage/Database.ts"
import { Redis } from "../../services/storage/Redis.ts"
import { BudgetKeeper, type BudgetLimits, type BudgetParts } from "./metering/BudgetKeeper.ts"
import { Places } from "./metering/Places.ts"
import { RateWindows } from "./metering/RateWindows.ts"
import { RequestMeter } from "./metering/RequestMeter.ts"
import { monotonicMs } from "../../services/running/MonotonicTime.ts"

/** Limits counted in Redis where there is one, else by each replica; budgets in the database, by loans to each replica. */
export const layer: Layer.Layer<Metering, never, Database | LearningLog | Redis | Settings | Telemetry> = Layer.scoped(
  Metering,
  Effect.gen(function* () {
    const settings = yield* Settings
    const redis = yield* Redis
    const clock = yield* Effect.clock
    const { router } = yield* LearningLog
    const runFork = Runtime.runFork(yield* Effect.runtime<never>())
    const run = (effect: Effect.Effect<void>) => void runFork(effect)
    const counts = yield* counters
    const budgets = yield* makeBudgets((share) => counts.onShare(run, share))
    const windows = new RateWindows(Option.isSome(settings.redis.url) ? redis : null, run)
    const shared = {
      windows,
      places: new Places(),
      usedTokens: new UsedTokens(),
      wallMillis: () => clock.unsafeCurrentTimeMillis(),
      onRefused: counts.onRefused
    }
    const routerLimits: BudgetLimits = {
      usdPerDay: Option.getOrNull(settings.budget.usdPerDay),
      usdPerMonth: Option.getOrNull(settings.budget.usdPerMonth),
      paced: settings.budget.paced
    }
    const routerSubject = { type: "router", routerId: router.id } as const
    const ofRouter = isBudget(routerLimits) ? [budgets.of(routerSubject, routerLimits)] : []
    return Metering.of({
      of: (key, tell) => {
        const limited = key !== null && hasLimit(key.limits) ? key : null
        if (limited === null && ofRouter.length === 0) return null
        const ofKey =
          limited === null ? [] : budgetsOf(limited).map(({ limits, subject }) => budgets.of(subject, limits))
        return new RequestMeter({ ...shared, key: meteredKey(limited), budgets: [...ofKey, ...ofRouter], tell })
      },
      budgets: (keys, withRouter) =>
        budgets.states([
          ...(withRouter && isBudget(routerLimits)
            ? [{ subject: routerSubject, name: router.id, limits: routerLimits }]
            : []),
          ...keys.flatMap(budgetsOf)
        ])
    })
  })
)

const isBudget = ({ usdPerDay, usdPerMonth }: BudgetLimits): boolean => usdPerDay !== null || usdPerMonth !== null

const meteredKey = (key: KeyHolder | null) =>
  key === null ? null : { owner: key.owner ?? "", label: key.label, limits: key.limits }

interface Budget {
  readonly subject: BudgetSubject
  readonly name: string
  readonly limits: BudgetLimits
}

const budgetsOf = ({ formerOwners = [], limits, owner }: KeyHolder): ReadonlyArray<Budget> =>
  isBudget(limits) && owner !== null
    ? [{ subject: { type: "key", owners: [owner, ...formerOwners] }, name: owner, limits }]
    : []

const visitInterval = "1 second"
const giveBackLimit = "500 millis"

/** A keeper for each budget, made at its first request; their loans are looked after. */
const makeBudgets = Effect.fnUntraced(function* (tell: (share: Parameters<BudgetParts["onShare"]>) => void) {
  const { budgets: store } = yield* Database
  const clock = yield* Effect.clock
  const runFork = Runtime.runFork(yield* Effect.runtime<never>())
  const away = EpisodeLog.make({
    began: (error: DatabaseError) =>
      Effect.logWarning(
        `budgets are not read from the database, each replica spends what it holds of them: ${error.message}`
      ),
    ended: ({ seconds }) => Effect.logInfo(`budgets are read from the database again after ${seconds}s`)
  })
  const parts: BudgetParts = {
    replica: (yield* LearningLog).replica,
    nowMillis: () => monotonicMs(clock),
    wallMillis: () => clock.unsafeCurrentTimeMillis(),
    borrow: (loan, lent) =>
      void runFork(
        Effect.flatMap(
          Effect.either(store.borrow(loan)),
          Either.match({
            onLeft: (error) =>
              Effect.zipRight(
                away.failed(error),
                Effect.sync(() => lent(null))
              ),
            onRight: (answer) =>
              Effect.zipRight(
                away.worked,
                Effect.sync(() => lent(answer))
              )
          })
        )
      ),
    onShare: (...share) => tell(share)
  }
  const keepers = new Map<string, BudgetKeeper>()
  const visitAll = Effect.sync(() => {
    for (const keeper of keepers.values()) keeper.visit()
  })
  // What a replica that ends would have spent yet the others may spend at once. A database that is silent holds up nothing.
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      const claims = Array.from(keepers.values()).flatMap((keeper) => keeper.claim() ?? [])
      return claims.length === 0 ? Effect.void : store.giveBack(parts.replica, claims)
    }).pipe(Effect.disconnect, Effect.timeout(giveBackLimit), Effect.ignore)
  )
  yield* Effect.forkScoped(Effect.repeat(visitAll, Schedule.spaced(visitInterval)))
  const of = (subject: BudgetSubject, limits: BudgetLimits): BudgetKeeper => {
    const name = subjectName(subject)
    const known = keepers.get(name)
    if (known !== undefined) {
      known.limitTo(limits)
      return known
    }
    const made = new BudgetKeeper(subject, limits, parts)
    keepers.set(name, made)
    return made
  }
  const states = (all: ReadonlyArray<Budget>) =>
    Effect.map(store.spendings(all.map(({ subject }) => subject)), (spendings) =>
      all.flatMap(({ limits, name, subject }, place): ReadonlyArray<BudgetState> => {
        const spending = spendings[place]
        const charge = keepers.get(subjectName(subject))?.charged ?? null
        const { paced, usdPerDay, usdPerMonth } = limits
        if (spending === undefined) return []
        return [{ ...spending, subject: subject.type, name, usdPerDay, usdPerMonth, paced, charge }]
      })
    )
  return { of, states }
})

/** What is refused, and which budgets are nearly used up. */
const counters = Effect.gen(function* () {
  const telemetry = yield* Telemetry
  let limited = 0
  let overBudget = 0
  const alerts = { 80: 0, 100: 0 }
  yield* telemetry.counter(
    "conduit_limited_requests_total",
    "Requests that a limit of their key has refused",
    () => limited
  )
  yield* telemetry.counter(
    "conduit_budget_refused_requests_total",
    "Requests that a budget of their key or of the router has refused, or that was not known",
    () => overBudget
  )
  for (const percent of [80, 100] as const) {
    yield* telemetry.counter(
      "conduit_budget_alerts_total",
      "Budgets of keys and of the router that reached so many percent in a day or a month, as this replica saw it",
      () => alerts[percent],
      { percent: String(percent) }
    )
  }
  return {
    onRefused: (bounded: object) => {
      if (bounded instanceof LimitReached) limited++
      else overBudget++
    },
    onShare: (
      run: (effect: Effect.Effect<void>) => void,
      [whose, period, percent, lent]: Parameters<BudgetParts["onShare"]>
    ) => {
      alerts[percent]++
      const spent = period === "day" ? lent.spentDayUsd : lent.spentMonthUsd
      run(
        Effect.logWarning(
          `The budget of ${whose} for this ${period} is used to ${percent} %: ${spent.toFixed(6)} USD are spent`
        )
      )
    }
  }
})
