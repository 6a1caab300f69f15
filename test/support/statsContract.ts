import { emptyError, outcomeKind, type OutcomeKind, refusedError } from "../../src/domain/routing/Outcome.ts"
import { assert, layer as withLayer } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { createHash } from "node:crypto"
import type { DecisionRecord } from "../../src/domain/routing/DecisionRecord.ts"
import { DecisionId, RouterId, uuidV7From } from "../../src/domain/basics/Ids.ts"
import { combine } from "../../src/domain/learning/Feedback.ts"
import { reward } from "../../src/domain/learning/Reward.ts"
import { uniform } from "../../src/domain/basics/Rng.ts"
import { folds, type SavingsSums } from "../../src/domain/stats/Savings.ts"
import { type Figures, type StatsQuery, type StatsRows, stepsOf } from "../../src/domain/stats/Stats.ts"
import { normalise, preferences } from "../../src/domain/routing/Weights.ts"
import { type AddUpOptions, type Commit, Database } from "../../src/services/storage/Database.ts"
import { answered, commitOf, feedbackOn, large, recordOf, small } from "./learningRecords.ts"

const reference = { costUsd: 1e-3, latencySeconds: 2 }
const startMillis = 1_767_225_600_000
const untilMillis = startMillis + 86_400_000

const statsQuery = (over: Partial<StatsQuery> = {}): StatsQuery => ({
  owner: null,
  model: null,
  task: null,
  fromMillis: startMillis,
  untilMillis,
  stepsMillis: stepsOf(startMillis, untilMillis).stepsMillis,
  costReferenceUsd: reference.costUsd,
  latencyReferenceSeconds: reference.latencySeconds,
  groupBy: [],
  savings: true,
  ...over
})

const reasons = ["best", "best", "explore", "control", "pinned", "session", "only_eligible"] as const

/** A decision of the i-th minute, of any kind: all that the statistics tell apart comes up in a few hundred of them. */
const anyRecord = (
  routerId: RouterId,
  seed: string,
  i: number,
  millis = startMillis + i * 60_000,
  owner: string | null = null
): DecisionRecord => {
  const draw = (what: string) => uniform(`${i}|${what}`)
  const chosen = draw("chosen") < 0.6 ? small : large
  const other = chosen === small ? large : small
  const isStream = draw("stream") < 0.3
  const kind = draw("kind")
  const answer = {
    ...answered(draw("fallback") < 0.15 ? other : chosen),
    costUsd: draw("cost") < 0.1 ? null : draw("usd") / 1000,
    latencyMs: draw("timed") < 0.1 ? null : 100 + 3000 * draw("latency"),
    firstTokenMs: isStream ? 50 + 100 * draw("first") : null,
    inputTokens: isStream ? null : Math.floor(100 * draw("in")),
    outputTokens: Math.floor(300 * draw("out"))
  }
  const outcome =
    kind < 0.05
      ? null
      : kind < 0.1
        ? { ...answer, ok: false, aborted: true, error: "aborted", costUsd: null }
        : kind < 0.25
          ? {
              ...answer,
              ok: false,
              costUsd: null,
              error: kind < 0.14 ? "rejected" : kind < 0.17 ? emptyError : kind < 0.2 ? "timeout" : "server"
            }
          : kind < 0.3
            ? { ...answer, error: refusedError }
            : answer
  const task = draw("task")
  const base = recordOf(routerId, { seed, outcome, request: { weights: normalise(preferences.balanced) } })
  const preference = draw("preference") < 0.5 ? "balanced" : "cost"
  return {
    ...base,
    decision: {
      ...base.decision,
      id: DecisionId(uuidV7From(millis, createHash("sha256").update(`${routerId} ${i}`).digest())),
      createdAtMillis: millis,
      owner,
      chosen,
      propensity: 0.1 + 0.9 * draw("propensity"),
      reason: reasons[Math.floor(draw("reason") * reasons.length)] ?? "best",
      exploration: draw("exploration") < 0.1,
      request: {
        ...base.decision.request,
        task: task < 0.3 ? null : task < 0.7 ? "code" : "poem",
        sessionId: draw("session") < 0.4 ? `session ${Math.floor(i / 5)}` : null,
        stream: isStream,
        preference,
        weights:
          draw("weights") < 0.5 ? normalise(preferences[preference]) : { quality: 0.25, cost: 0.25, latency: 0.5 }
      },
      candidates: base.decision.candidates.map((candidate) => ({
        ...candidate,
        eligible: candidate.model === chosen || draw(`eligible ${candidate.model}`) < 0.8,
        excludedBy:
          candidate.model === chosen || draw(`eligible ${candidate.model}`) < 0.8 ? null : ("max_cost_usd" as const),
        quality: Math.fround(draw(`quality ${candidate.model}`)),
        costUsd: draw(`priced ${candidate.model}`) < 0.1 ? null : Math.fround(draw(`cost ${candidate.model}`) / 1000)
      }))
    }
  }
}

/** Closer than this is the same: columns of predictions are float4, and sums depend on their order. */
const near = (actual: number, expected: number, what: string) =>
  assert.closeTo(actual, expected, 1e-9 * Math.max(1, Math.abs(expected)), what)

const sameFigures = (actual: Figures, expected: Figures, what: string) => {
  for (const [name, value] of Object.entries(expected)) {
    const other: unknown = Reflect.get(actual, name)
    if (typeof value !== "number") {
      assert.strictEqual(other === null, value === null, `${what} ${name}`)
      for (const [key, one] of Object.entries(value ?? {})) {
        if (typeof one === "number") near(Reflect.get(Object(other), key), one, `${what} ${name} ${key}`)
        else assert.strictEqual(Reflect.get(Object(other), key), one, `${what} ${name} ${key}`)
      }
    } else near(Number(other), value, `${what} ${name}`)
  }
}

/** Every number, and the order. */
const sameRows = (here: StatsRows, there: StatsRows) => {
  sameFigures(here.totals, there.totals, "totals")
  const named = (rows: StatsRows) => [
    ...rows.byModel.map((one) => [one.model, one] as const),
    ...rows.byTask.map((one) => [`task ${one.task}`, one] as const),
    ...rows.overTime.map((one) => [`step ${one.step}`, one] as const),
    ...rows.groups.map((one) => [`group ${one.model} ${one.task} ${one.step}`, one] as const)
  ]
  const expected = new Map<string, Figures>(named(there))
  assert.deepStrictEqual(
    named(here).map(([key]) => key),
    [...expected.keys()]
  )
  for (const [key, figures] of named(here)) sameFigures(figures, expected.get(key)!, key)
  assert.deepStrictEqual(here.errors, there.errors)
  assert.deepStrictEqual([here.tasks, here.groupCount], [there.tasks, there.groupCount])
}

const count = 400

const adding: AddUpOptions = {
  batch: 100,
  costReferenceUsd: reference.costUsd,
  isReferenceNew: false,
  latencyReferenceSeconds: reference.latencySeconds,
  nowMillis: startMillis
}
const nothingOld = {
  decisionsBeforeMillis: 0,
  promptsBeforeMillis: 0,
  parkedBeforeMillis: 0,
  logBeforeMillis: 0,
  snapshotsSinceMillis: 0
}

const hour = 3_600_000
const over = (fromMillis: number, untilMillis: number, more: Partial<StatsQuery> = {}): StatsQuery =>
  statsQuery({ fromMillis, untilMillis, ...stepsOf(fromMillis, untilMillis), ...more })
/** Whole hours and days and parts of them, with steps of minutes, hours and days. */
const changingQueries = [
  over(startMillis, startMillis + 8 * 24 * hour),
  over(startMillis - 100 * 24 * hour, startMillis + 8 * 24 * hour, { groupBy: ["task", "model"] }),
  over(startMillis + 1_234_567, startMillis + 2 * 24 * hour + 7_654_321, { groupBy: ["step", "model"] }),
  over(startMillis + 25 * hour, startMillis + 27 * hour),
  // Steps of a minute, and a window that begins and ends within one.
  over(startMillis + 25.1 * hour + 7_654, startMillis + 26.4 * hour + 1_234, {
    stepsMillis: Array.from({ length: 79 }, (_, i) => startMillis + 25.1 * hour + i * 60_000),
    groupBy: ["step", "model"]
  }),
  over(startMillis + 30 * hour, startMillis + 31 * hour, { stepsMillis: [startMillis + 30 * hour], task: "code" }),
  over(startMillis - 3 * 24 * hour, startMillis + 5 * 24 * hour, { owner: "alice", model: "large", groupBy: ["task"] })
]

/** What `stats` and `savings` of every `Database` answer; `plain` is one that computes the same in another way. */
export const statsContract = <E>(name: string, database: Layer.Layer<Database, E>, plain?: Layer.Layer<Database>) =>
  withLayer(database, { timeout: Duration.minutes(10), excludeTestServices: true })(`Statistics: ${name}`, (it) => {
    let routers = 0
    const filled = Effect.gen(function* () {
      const db = yield* Database
      const { id, seed } = yield* db.router(Option.some(RouterId(`stats-${routers++}`)))
      const records = Array.from({ length: count }, (_, i) => anyRecord(id, seed, i))
      const feedback = records.flatMap(({ decision }, i) => {
        const draw = uniform(`${i}|judged`)
        if (draw > 0.5) return []
        const one = feedbackOn(decision.id, { value: uniform(`${i}|value`), confidence: 0.5 })
        // A comment says nothing of quality; a second kind is combined, and a later one supersedes.
        if (draw < 0.05) return [feedbackOn(decision.id, { kind: "comment", value: "so so" })]
        if (draw < 0.15) return [one, feedbackOn(decision.id, { kind: "thumbs", value: "up" })]
        if (draw < 0.25) return [one, feedbackOn(decision.id, { value: 0.125 })]
        return [one]
      })
      yield* db.commit(commitOf(id, { decisions: records, feedback }))
      const all = yield* db.decisions(id, {
        owner: null,
        model: null,
        fromMillis: null,
        untilMillis: null,
        userId: null,
        task: null,
        algorithm: null,
        reason: null,
        outcome: null,
        before: null,
        limit: count
      })
      assert.lengthOf(all, count)
      return { db, id, records, feedback, all }
    })

    it.effect("adds up what the decisions show, all together and by model, task and step", () =>
      Effect.gen(function* () {
        const { all, db, id } = yield* filled
        const found = yield* db.stats(id, statsQuery())
        const { totals } = found
        const outcomes = all.flatMap(({ record }) => (record.outcome === null ? [] : [record.outcome]))
        const sum = (values: ReadonlyArray<number | null>) => values.reduce<number>((a, b) => a + (b ?? 0), 0)
        const ok = outcomes.filter((one) => one.ok)
        assert.strictEqual(totals.requests, count)
        const { aborted, answered, empty, failed, refused } = totals
        const ended = outcomes.map(outcomeKind)
        const counted = (kind: OutcomeKind) => ended.filter((one) => one === kind).length
        assert.deepStrictEqual(
          { aborted, answered, empty, failed, refused },
          {
            aborted: counted("aborted"),
            answered: counted("ok"),
            empty: counted("empty"),
            failed: counted("failed"),
            refused: counted("refused")
          }
        )
        assert.isAbove(Math.min(aborted, empty, failed, refused), 0)
        assert.isAbove(count - answered - aborted - failed - refused - empty, 0)
        assert.strictEqual(
          totals.fallbacks,
          all.filter(({ record }) => record.outcome !== null && record.outcome.model !== record.decision.chosen).length
        )
        assert.strictEqual(totals.explored, all.filter(({ record }) => record.decision.exploration).length)
        near(totals.inputTokens, sum(outcomes.map((one) => one.inputTokens)), "input tokens")
        near(totals.outputTokens, sum(outcomes.map((one) => one.outputTokens)), "output tokens")
        near(totals.costUsd, sum(outcomes.map((one) => one.costUsd)), "cost")
        assert.strictEqual(totals.priced, outcomes.filter((one) => one.costUsd !== null).length)
        const latencies = ok.flatMap(({ latencyMs }) => (latencyMs === null ? [] : [latencyMs])).sort((a, b) => a - b)
        assert.isBelow(latencies.length, ok.length)
        const below = (p: number) => latencies.filter((one) => one < p).length / latencies.length
        // Of a histogram, whose bins are 9 % wide.
        assert.closeTo(below(totals.latencyMs?.p50 ?? 0), 0.5, 0.03)
        assert.closeTo(below(totals.latencyMs?.p99 ?? 0), 0.99, 0.01)
        assert.isAbove(totals.latencyMs?.p50 ?? 0, totals.firstTokenMs?.p99 ?? Infinity)

        const rewards = all.flatMap(({ feedback, record }) => {
          const judged = combine(feedback.filter((one) => one.supersededBy === null))
          const { weights } = record.decision.request
          const one = record.outcome === null ? null : reward(record.outcome, judged, weights, reference)
          return one === null ? [] : [one]
        })
        const mean = sum(rewards) / rewards.length
        assert.strictEqual(totals.reward?.count, rewards.length)
        near(totals.reward?.mean ?? 0, mean, "reward")
        near(
          totals.reward?.variance ?? 0,
          sum(rewards.map((one) => (one - mean) ** 2)) / (rewards.length - 1),
          "variance of the reward"
        )
        assert.strictEqual(totals.quality?.count, rewards.length - totals.failed - totals.empty)

        const kinds = [found.byModel, found.byTask, found.overTime]
        for (const groups of kinds) {
          for (const field of [
            "requests",
            "answered",
            "failed",
            "aborted",
            "fallbacks",
            "costUsd",
            "priced"
          ] as const) {
            near(sum(groups.map((one) => one[field])), totals[field], field)
          }
          near(sum(groups.map((one) => (one.reward?.count ?? 0) * (one.reward?.mean ?? 0))), sum(rewards), "rewards")
        }
        assert.deepStrictEqual(
          found.byModel.map((one) => one.model),
          ["small", "large"]
        )
        assert.sameMembers(
          found.byTask.map((one) => one.task),
          ["code", "poem", null]
        )
        assert.strictEqual(found.tasks, 3)
        // A decision a minute.
        const { widthMillis } = stepsOf(startMillis, untilMillis)
        assert.deepStrictEqual(
          found.overTime.map((one) => [one.step, one.requests]),
          Array.from({ length: Math.ceil((count * 60_000) / widthMillis) }, (_, step) => [
            step,
            Math.min(widthMillis / 60_000, count - (step * widthMillis) / 60_000)
          ])
        )
        near(sum(found.errors.map((one) => one.count)), totals.failed + totals.empty, "errors")
        assert.includeMembers(
          found.errors.map((one) => `${one.model} ${one.reason}`),
          ["small rejected", "small timeout", "large server"]
        )
      })
    )

    it.effect("looks at what the query names, of that owner and router alone", () =>
      Effect.gen(function* () {
        const { all, db, id } = yield* filled
        const requests = (over: Partial<StatsQuery>) =>
          Effect.map(db.stats(id, statsQuery(over)), ({ totals }) => totals.requests)
        const at = startMillis + 100 * 60_000
        assert.strictEqual(yield* requests({ fromMillis: at }), 300)
        assert.strictEqual(yield* requests({ untilMillis: at }), 100)
        assert.strictEqual(yield* requests({ fromMillis: at, untilMillis: at + 1 }), 1)
        assert.strictEqual(
          yield* requests({ task: "poem" }),
          all.filter(({ record }) => record.decision.request.task === "poem").length
        )
        assert.strictEqual(
          yield* requests({ model: "large" }),
          all.filter(({ record }) => (record.outcome?.model ?? record.decision.chosen) === large).length
        )
        assert.strictEqual(yield* requests({ task: "nul\u0000" }), 0)
        assert.strictEqual(yield* requests({ owner: "alice" }), 0)
        const nobody = yield* db.stats(RouterId("nobody"), statsQuery())
        assert.deepStrictEqual(
          [nobody.totals.requests, nobody.totals.latencyMs, nobody.totals.reward, nobody.byModel, nobody.overTime],
          [0, null, null, [], []]
        )
        assert.deepStrictEqual(yield* db.savings(RouterId("nobody"), statsQuery(), 1), {
          sampled: 1,
          requests: 0,
          rows: []
        })
      })
    )

    it.effect("names fifty tasks and says how many there are", () =>
      Effect.gen(function* () {
        const db = yield* Database
        const { id } = yield* db.router(Option.some(RouterId("tasks")))
        const decisions = Array.from({ length: 121 }, (_, i) =>
          recordOf(id, { request: { task: `task-${Math.floor(i / 2)}` } })
        )
        yield* db.commit(commitOf(id, { decisions }))
        const { byTask, tasks } = yield* db.stats(id, statsQuery())
        assert.deepStrictEqual([byTask.length, tasks], [50, 61])
        assert.isTrue(byTask.every((one) => one.requests === 2))
      })
    )

    it.effect("tells how many answers are of models that nobody judged", () =>
      Effect.gen(function* () {
        const db = yield* Database
        const { id } = yield* db.router(Option.some(RouterId("unjudged")))
        const decisions = Array.from({ length: 20 }, (_, i) => {
          const record = recordOf(id, { outcome: answered(i < 15 ? small : large) })
          const candidates = record.decision.candidates.map((one) => ({ ...one, eligible: true, excludedBy: null }))
          return { ...record, decision: { ...record.decision, chosen: i < 15 ? small : large, candidates } }
        })
        const feedback = decisions.slice(15).map(({ decision }) => feedbackOn(decision.id, { value: 0.9 }))
        yield* db.commit(commitOf(id, { decisions, feedback }))
        const { rows } = yield* db.savings(id, statsQuery(), 1)
        for (const model of [small, large]) {
          const of = (field: keyof SavingsSums) =>
            rows.filter((row) => row.model === model).reduce((sum, row) => sum + row[field], 0)
          assert.deepStrictEqual([of("requests"), of("realUnknown"), of("realWeight")], [20, 15, 5], model)
        }
      })
    )

    it.effect("sums up for the savings each routed request beside each of its candidates", () =>
      Effect.gen(function* () {
        const { db, feedback, id, records } = yield* filled
        const found = yield* db.savings(id, statsQuery(), 1)
        const ended = records.filter(
          ({ outcome }) =>
            outcome !== null && !outcome.aborted && outcome.error !== "rejected" && outcome.error !== refusedError
        )
        const routed = ended.filter(({ decision }) => decision.reason !== "pinned")
        assert.strictEqual(found.requests, routed.length)
        assert.isTrue(found.rows.every((row) => row.fold >= 0 && row.fold < folds))
        assert.isAbove(new Set(found.rows.map((row) => row.fold)).size, 16)
        for (const model of [small, large]) {
          const of = (field: keyof SavingsSums) =>
            found.rows.filter((row) => row.model === model).reduce((sum, row) => sum + row[field], 0)
          const mine = routed.filter(({ decision }) =>
            decision.candidates.some((one) => one.model === model && one.eligible)
          )
          assert.strictEqual(of("requests"), mine.length, model)
          const expected = ({ decision }: DecisionRecord) =>
            decision.candidates.find((one) => one.model === model)?.costUsd ?? null
          const priced = mine.filter((one) => one.outcome?.ok && one.outcome.costUsd !== null && expected(one) !== null)
          assert.strictEqual(of("priced"), priced.length, model)
          near(
            of("actual"),
            priced.reduce((sum, one) => sum + (one.outcome?.costUsd ?? 0), 0),
            model
          )
          const others = priced.filter(({ outcome }) => outcome?.model !== model)
          const predicted = others.reduce((sum, one) => sum + (expected(one) ?? 0), 0)
          assert.closeTo(of("others"), predicted, 1e-6 * predicted, model)
          near(of("own") + others.reduce((sum, one) => sum + (one.outcome?.costUsd ?? 0), 0), of("actual"), model)
          // An answer stands for the unjudged ones of its model too, a failure for itself.
          const isJudged = ({ decision }: DecisionRecord) =>
            feedback.some((one) => one.decisionId === decision.id && one.kind !== "comment")
          const answers = (of: typeof small) => routed.filter(({ outcome }) => outcome?.ok && outcome.model === of)
          const share = (of: typeof small) => answers(of).length / answers(of).filter(isJudged).length
          const real = mine.reduce((sum, one) => {
            if (one.outcome?.ok !== true) return sum + 1
            return isJudged(one) ? sum + share(one.outcome.model) : sum
          }, 0)
          near(of("realWeight"), real, model)
          const drawn = mine.filter(
            ({ decision }) =>
              decision.chosen === model && ["best", "explore", "control", "only_eligible"].includes(decision.reason)
          )
          const own = drawn.filter(
            (one) =>
              one.outcome?.ok && one.outcome.model === model && one.outcome.costUsd !== null && expected(one) !== null
          )
          const odds = own.map(({ decision }) => 1 / decision.propensity - 1)
          assert.strictEqual(of("answers"), own.length, model)
          near(
            of("odds"),
            odds.reduce((a, b) => a + b, 0),
            model
          )
          near(
            of("answersActual"),
            own.reduce((sum, one, i) => sum + (odds[i] ?? 0) * (one.outcome?.costUsd ?? 0), 0),
            model
          )
          const weights = drawn.map((one) => {
            const isFailure = one.outcome?.ok !== true || one.outcome.model !== model
            return (isFailure ? 1 : isJudged(one) ? share(model) : 0) / one.decision.propensity
          })
          assert.strictEqual(of("judged"), weights.filter((weight) => weight > 0).length, model)
          near(
            of("weight"),
            weights.reduce((a, b) => a + b, 0),
            model
          )
          near(
            of("weightSquared"),
            weights.reduce((a, b) => a + b * b, 0),
            model
          )
        }
      })
    )

    if (plain !== undefined) {
      it.effect("agrees with the database in memory in every number", () =>
        Effect.gen(function* () {
          const { db, feedback, id, records } = yield* filled
          const other = yield* Effect.provide(Database, plain)
          yield* other.router(Option.some(id))
          yield* other.commit(commitOf(id, { decisions: records, feedback }))
          const query = statsQuery()
          const [here, there] = [yield* db.stats(id, query), yield* other.stats(id, query)]
          sameRows(here, there)

          const [mine, theirs] = [yield* db.savings(id, query, 1), yield* other.savings(id, query, 1)]
          assert.strictEqual(mine.requests, theirs.requests)
          for (const row of mine.rows) {
            for (const [field, value] of Object.entries(row)) {
              if (typeof value !== "number" || field === "fold" || field === "all_requests") continue
              const same = theirs.rows.filter((one) => one.model === row.model && one.fold === row.fold)
              const expected = same.reduce((sum, one) => sum + Number(Reflect.get(one, field)), 0)
              assert.closeTo(
                value,
                expected,
                1e-6 * Math.max(1, Math.abs(expected)),
                `${row.model} ${row.fold} ${field}`
              )
            }
          }
        })
      )

      it.effect("adds up to the same after each change, however much of it is in the sums", () =>
        Effect.gen(function* () {
          const db = yield* Database
          const other = yield* Effect.provide(Database, plain)
          const id = RouterId(`stats-${routers++}`)
          yield* db.router(Option.some(id))
          yield* other.router(Option.some(id))
          const both = (commit: Commit) => Effect.zipRight(db.commit(commit), other.commit(commit))
          let asked = 0
          const compared = Effect.forEach([1, 2], () =>
            Effect.gen(function* () {
              const query = changingQueries[asked++ % changingQueries.length]!
              sameRows(yield* db.stats(id, query), yield* other.stats(id, query))
            })
          )
          const addUp = (batch: number, over: Partial<AddUpOptions> = {}) =>
            Effect.forEach([db, other], (one) => one.addUp(id, { ...adding, batch, ...over })).pipe(
              Effect.map(([mine]) => mine?.isDone === true)
            )
          const records = Array.from({ length: 240 }, (_, i) => {
            // Over four days, most of them in a few hours.
            const millis = i % 3 === 0 ? startMillis + i * 1_440_000 : startMillis + 90_000_000 + i * 60_000
            return anyRecord(id, "seed", i, millis, i % 7 === 0 ? "alice" : null)
          })
          // Before the first addition: these are older than what the sums begin with.
          yield* both(commitOf(id, { decisions: records.slice(0, 100) }))
          yield* compared
          for (let round = 0; round < 12; round++) {
            const draw = (what: string) => uniform(`${round}|${what}`)
            const known = records.slice(0, 100 + 10 * (round + 1))
            const one = (what: string) => known[Math.floor(draw(what) * known.length)]!
            const feedback = Array.from({ length: 12 }, (_, i) => one(`feedback ${i}`)).map(({ decision }, i) =>
              feedbackOn(decision.id, {
                value: i % 5 === 0 ? 1e-170 : draw(`value ${i}`),
                source: draw(`source ${i}`) < 0.5 ? "api" : "judge",
                owner: decision.owner
              })
            )
            const reports = known
              .filter(({ outcome }) => outcome === null)
              .slice(round, round + 2)
              .map(({ decision }, i) => ({
                decisionId: decision.id,
                ok: i === 0,
                inputTokens: round,
                outputTokens: null,
                latencyMs: 100 * round,
                error: i === 0 ? null : "no luck",
                owner: decision.owner
              }))
            yield* both(commitOf(id, { decisions: records.slice(known.length - 10, known.length), feedback, reports }))
            if (round % 2 === 0) yield* compared
            // Prices change, and a batch is less than what there is to do.
            yield* addUp(9, {
              costReferenceUsd: round < 6 ? 1e-3 : 1e-5,
              isReferenceNew: round % 6 === 0,
              // After all that was decided until now.
              nowMillis: startMillis + known.length * 1_440_000
            })
            yield* compared
          }
          let isDone = false
          for (let steps = 0; !isDone && steps < 100; steps++) isDone = yield* addUp(20)
          assert.isTrue(isDone)
          yield* compared
          // What is past its retention goes, from the middle of an hour on.
          const decisionsBeforeMillis = startMillis + 91_234_567
          const limits = { ...nothingOld, decisionsBeforeMillis }
          for (const database of [db, other]) yield* database.prune(id, limits, 50)
          yield* compared
          for (let steps = 0; steps < 10; steps++) {
            yield* addUp(20)
            for (const database of [db, other]) yield* database.prune(id, limits, 50)
            yield* compared
          }
          isDone = false
          for (let steps = 0; !isDone && steps < 100; steps++) isDone = yield* addUp(1000)
          yield* Effect.all([compared, compared, compared])
        })
      )

      it.effect("looks at a random share of the requests when it is told to", () =>
        Effect.gen(function* () {
          const { db, id } = yield* filled
          const whole = yield* db.savings(id, statsQuery(), 1)
          const half = yield* db.savings(id, statsQuery(), 0.5)
          assert.strictEqual(half.sampled, 0.5)
          assert.isBelow(half.requests, whole.requests)
        })
      )
    }
  })
