import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as FiberId from "effect/FiberId"
import { RouterId } from "../../../../src/domain/basics/Ids.ts"
import type { DecisionRecord } from "../../../../src/domain/routing/DecisionRecord.ts"
import { noParts, type Submission } from "../../../../src/layers/learning/log/CommitQueue.ts"
import { type Batch, CommitterState, type Verdict } from "../../../../src/layers/learning/log/CommitterState.ts"
import { type Committed, DatabaseError } from "../../../../src/services/storage/Database.ts"
import { feedbackOn, recordOf } from "../../../support/learningRecords.ts"

const routerId = RouterId("machine")
const limits = { batchSize: 5, maxOutcomes: 12, flushMs: 50 }
const awayError = new DatabaseError({ operation: "commit", reason: "connection", detail: "away" })
const refusal = new DatabaseError({ operation: "commit", reason: "constraint", detail: "bad" })

/** What the database does with a commit that comes: it may also store it, and its answer gets lost. */
type Mood = "well" | "away" | "loses answers"

/** A step of a schedule. What is bad is refused by the database for ever. */
type Action =
  | { readonly type: "offer"; readonly count: number; readonly isBad: boolean }
  | { readonly type: "submit"; readonly isBad: boolean }
  | { readonly type: "abandon" }
  | { readonly type: "mood"; readonly mood: Mood }
  | { readonly type: "flush" }
  | { readonly type: "pass"; readonly ms: number }

const action: FastCheck.Arbitrary<Action> = FastCheck.oneof(
  {
    weight: 5,
    arbitrary: FastCheck.record({
      type: FastCheck.constant("offer" as const),
      count: FastCheck.integer({ min: 1, max: 7 }),
      isBad: FastCheck.integer({ min: 0, max: 9 }).map((n) => n === 0)
    })
  },
  {
    weight: 3,
    arbitrary: FastCheck.record({
      type: FastCheck.constant("submit" as const),
      isBad: FastCheck.integer({ min: 0, max: 7 }).map((n) => n === 0)
    })
  },
  { weight: 1, arbitrary: FastCheck.constant<Action>({ type: "abandon" }) },
  {
    weight: 2,
    arbitrary: FastCheck.record({
      type: FastCheck.constant("mood" as const),
      mood: FastCheck.constantFrom<Mood>("well", "away", "loses answers")
    })
  },
  { weight: 1, arbitrary: FastCheck.constant<Action>({ type: "flush" }) },
  {
    weight: 6,
    arbitrary: FastCheck.record({
      type: FastCheck.constant("pass" as const),
      ms: FastCheck.integer({ min: 1, max: 400 })
    })
  }
)

/** The machine, a database that stores whole commits or nothing, each once, and a clock. */
class World {
  now = 1_000
  mood: Mood = "well"
  readonly bad = new Set<unknown>()
  /** In the order of commits; those of one commit share a number. */
  readonly stored = new Map<unknown, number>()
  readonly offered: Array<DecisionRecord> = []
  readonly submitted: Array<Submission> = []
  readonly arrival = new Map<unknown, number>()
  readonly fates = new Map<unknown, "stored" | "lost" | "dropped" | "refused">()
  readonly attempts: Array<{ readonly at: number; readonly isAway: boolean; readonly isUrgent: boolean }> = []
  private readonly commits = new Map<string, number>()
  private ids = 0
  readonly state = new CommitterState(limits, () => `commit ${this.ids++}`)

  offer(isBad: boolean): void {
    const record = recordOf(routerId)
    if (isBad) this.bad.add(record)
    this.offered.push(record)
    this.arrival.set(record, this.arrival.size)
    const { dropped } = this.state.offer(record, this.now)
    for (const outcome of dropped) this.fate(outcome.record, "dropped")
    assert.isAtMost(this.state.outcomeCount, Math.max(limits.maxOutcomes, this.inHand))
  }

  submit(isBad: boolean): void {
    const record = recordOf(routerId)
    const parts = { ...noParts, feedback: [feedbackOn(record.decision.id)] }
    const submission = this.state.submit(parts, Deferred.unsafeMake(FiberId.none))
    if (isBad) this.bad.add(submission)
    this.submitted.push(submission)
    this.arrival.set(submission, this.arrival.size)
  }

  abandon(): void {
    const waiting = this.submitted.find((one) => !one.abandoned && !this.fates.has(one))
    if (waiting !== undefined) waiting.abandoned = true
  }

  /** Lets so much time pass, as the driver would. */
  pass(ms: number): void {
    const until = this.now + ms
    for (let turns = 0; ; turns++) {
      assert.isBelow(turns, 10_000, "it stands still")
      const step = this.state.next(this.now)
      if (step.type === "commit") {
        this.attempt(step.batch)
        // A commit takes its time.
        this.now += 1
        continue
      }
      if (step.type === "wait") assert.isAbove(step.untilMillis, this.now)
      if (step.type === "idle" || step.untilMillis > until) break
      this.now = step.untilMillis
    }
    this.now = Math.max(this.now, until)
  }

  /** Outcomes that a commit has taken are not dropped any more. */
  private inHand = 0

  private attempt(batch: Batch): void {
    const { commitId, outcomes, submissions } = batch
    assert.isAbove(outcomes.length + submissions.length, 0)
    assert.isAtMost(outcomes.length, limits.batchSize)
    assert.isAtMost(submissions.length, limits.batchSize)
    assert.isTrue(this.state.isCommitting)
    this.inHand = outcomes.length
    this.attempts.push({ at: this.now, isAway: this.mood !== "well", isUrgent: submissions.length > 0 })
    if (this.mood === "away") return this.heed(this.state.away(awayError, this.now))
    const members: ReadonlyArray<unknown> = [...outcomes.map(({ record }) => record), ...submissions]
    if (this.commits.has(commitId)) {
      if (this.mood === "loses answers") return this.heed(this.state.away(awayError, this.now))
      return this.heed(this.state.stored({ ...answer(this.commits.get(commitId) ?? 0, []), duplicate: true }))
    }
    if (members.some((member) => this.bad.has(member))) return this.heed(this.state.refused(refusal))
    const position = this.commits.size + 1
    this.commits.set(commitId, position)
    for (const member of members) {
      assert.isFalse(this.stored.has(member), "it is stored twice")
      this.stored.set(member, position)
    }
    if (this.mood === "loses answers") return this.heed(this.state.away(awayError, this.now))
    this.heed(this.state.stored(answer(position, submissions)))
  }

  private heed(verdicts: ReadonlyArray<Verdict>): void {
    assert.isFalse(this.state.isCommitting)
    for (const verdict of verdicts) {
      if (verdict.type === "outcome") {
        this.fate(verdict.outcome.record, verdict.error === null ? "stored" : "lost")
        continue
      }
      const { result, submission } = verdict
      this.fate(submission, Either.isRight(result) ? "stored" : "refused")
      if (Either.isRight(result)) assert.deepStrictEqual(result.right.feedback, resultsOf(submission))
    }
  }

  private fate(member: unknown, fate: "stored" | "lost" | "dropped" | "refused"): void {
    assert.isFalse(this.fates.has(member), "it is told twice")
    this.fates.set(member, fate)
  }
}

const resultsOf = ({ parts }: Submission) => parts.feedback.map(({ id }) => ({ id, status: "recorded" as const }))

const answer = (position: number, submissions: ReadonlyArray<Submission>): Committed => ({
  position,
  duplicate: false,
  payload: null,
  feedback: submissions.flatMap(resultsOf),
  reports: [],
  joined: 0,
  judged: []
})

const run = (world: World, actions: ReadonlyArray<Action>): void => {
  let hurries = 0
  for (const one of actions) {
    if (one.type === "offer") for (let n = 0; n < one.count; n++) world.offer(one.isBad)
    else if (one.type === "submit") world.submit(one.isBad)
    else if (one.type === "abandon") world.abandon()
    else if (one.type === "mood") world.mood = one.mood
    else if (one.type === "flush") {
      hurries++
      world.state.hurry()
    } else world.pass(one.ms)
  }
  for (; hurries > 0; hurries--) world.state.relax()
}

const schedule = FastCheck.array(action, { maxLength: 60 })

describe("CommitterState", () => {
  it("loses nothing, doubles nothing, keeps the order, and recovers, whatever the database does", () => {
    FastCheck.assert(
      FastCheck.property(schedule, (actions) => {
        const world = new World()
        run(world, actions)
        world.mood = "well"
        world.pass(10_000)

        // It always recovers.
        assert.isTrue(world.state.isEmpty)
        assert.strictEqual(world.state.outcomeCount, 0)
        assert.isNull(world.state.oldestMillis)
        assert.strictEqual(world.state.next(world.now).type, "idle")
        for (const record of world.offered) {
          const fate = world.fates.get(record)
          assert.include(["stored", "lost", "dropped"], fate)
          assert.strictEqual(fate === "stored", world.stored.has(record))
          assert.strictEqual(fate === "lost", world.bad.has(record) && fate !== "dropped")
          assert.isUndefined(world.state.unstored.get(record.decision.id))
        }
        for (const submission of world.submitted) {
          const fate = world.fates.get(submission)
          // What nobody waits for any more may go without a word.
          if (fate === undefined) assert.isTrue(submission.abandoned)
          // What was acknowledged is there; what was refused may be there, if its answer got lost.
          if (fate === "stored") assert.isTrue(world.stored.has(submission))
          if (world.bad.has(submission)) assert.notStrictEqual(fate, "stored")
        }
        const lost = [...world.fates.values()].filter((fate) => fate === "lost" || fate === "dropped").length
        assert.strictEqual(world.state.droppedCount, lost)

        // In the order in which they came: nothing is stored before an outcome that came earlier and is stored too.
        const inOrder = (members: ReadonlyArray<unknown>) => {
          const positions = members.flatMap((member) => world.stored.get(member) ?? [])
          assert.deepStrictEqual(
            positions,
            positions.toSorted((x, y) => x - y)
          )
        }
        inOrder(world.offered)
        inOrder(world.submitted)
        for (const submission of world.submitted) {
          const at = world.stored.get(submission)
          if (at === undefined) continue
          const earlier = world.offered.filter(
            (record) => (world.arrival.get(record) ?? 0) < (world.arrival.get(submission) ?? 0)
          )
          for (const record of earlier) assert.isAtMost(world.stored.get(record) ?? 0, at)
        }
      }),
      { numRuns: 500 }
    )
  })

  it("tries a database that is away ever more rarely, at most every 100 ms and at least every two seconds", () => {
    FastCheck.assert(
      FastCheck.property(schedule, FastCheck.integer({ min: 5_000, max: 30_000 }), (actions, awayMs) => {
        const world = new World()
        run(world, actions)
        world.mood = "away"
        world.offer(false)
        world.pass(3_000)
        const since = world.attempts.length
        world.pass(awayMs)
        const times = world.attempts.slice(since).map(({ at }) => at)
        assert.isNotEmpty(times)
        for (let i = 1; i < times.length; i++) {
          const gap = (times[i] ?? 0) - (times[i - 1] ?? 0)
          assert.isTrue(gap >= 100 && gap <= 2_001, String(gap))
        }
        assert.isAtMost(times.length, awayMs / 1_000 + 10)
        // Whoever hurries gets it tried soon.
        world.state.hurry()
        world.pass(1_000)
        const hurried = world.attempts.filter(({ at }) => at > world.now - 1_000).length
        assert.isTrue(hurried >= 8 && hurried <= 11, String(hurried))
      }),
      { numRuns: 100 }
    )
  })

  it("lets outcomes share a commit for the flush interval, or until there are enough, or somebody waits", () => {
    const world = new World()
    world.offer(false)
    assert.deepStrictEqual(world.state.next(world.now), { type: "wait", untilMillis: world.now + limits.flushMs })
    world.pass(limits.flushMs - 1)
    assert.strictEqual(world.stored.size, 0)
    world.pass(1)
    assert.strictEqual(world.stored.size, 1)
    for (let n = 0; n < limits.batchSize; n++) world.offer(false)
    world.pass(0)
    assert.strictEqual(world.stored.size, 1 + limits.batchSize)
    world.offer(false)
    world.submit(false)
    world.pass(0)
    assert.strictEqual(world.stored.size, 3 + limits.batchSize)
    assert.lengthOf(world.attempts, 3)
  })

  it("takes in a batch what came first, and no submission before an outcome that came earlier", () => {
    const world = new World()
    for (let n = 0; n < 7; n++) world.offer(false)
    world.submit(false)
    const first = world.state.next(world.now)
    assert.isTrue(first.type === "commit" && first.batch.outcomes.length === 5 && first.batch.submissions.length === 0)
    if (first.type !== "commit") return
    assert.deepStrictEqual(
      first.batch.outcomes.map(({ record }) => record),
      world.offered.slice(0, 5)
    )
    world.state.stored(answer(1, []))
    const second = world.state.next(world.now)
    assert.isTrue(
      second.type === "commit" && second.batch.outcomes.length === 2 && second.batch.submissions.length === 1
    )
  })
})
