import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { RouterId } from "../../../../src/domain/basics/Ids.ts"
import * as IdsCrypto from "../../../../src/layers/running/IdsCrypto.ts"
import * as LearningLogDatabase from "../../../../src/layers/learning/LearningLogDatabase.ts"
import * as Telemetry from "../../../../src/layers/observing/Telemetry.ts"
import { Database } from "../../../../src/services/storage/Database.ts"
import { LearningLog } from "../../../../src/services/learning/LearningLog.ts"
import { defaults, Settings } from "../../../../src/services/running/Settings.ts"
import { databaseAt, scopedUrl } from "../../../support/closing.ts"
import { small } from "../../../support/learningRecords.ts"
import { createDatabase, query } from "../../../support/postgres.ts"

const routerId = "changes"

/** A replica whose poll never comes, so only being told wakes it. */
const replica = (url: string, seed: string) =>
  Effect.map(
    Layer.build(
      Layer.fresh(
        LearningLogDatabase.layerWith({ pollInterval: Duration.hours(1) }).pipe(
          Layer.provideMerge(databaseAt(url)),
          Layer.provide(Layer.merge(IdsCrypto.layerWith({ seed }), Telemetry.layer)),
          Layer.provide(
            Layer.succeed(Settings, {
              ...defaults,
              learning: { ...defaults.learning, routerId: Option.some(routerId) }
            })
          )
        )
      )
    ),
    (context) => ({ log: Layer.succeedContext(context) })
  )

const within = Effect.timeoutFail({ duration: "15 seconds", onTimeout: () => new Error("nobody was told") })
const listeners = "datname = current_database() AND application_name LIKE 'conduit-%' AND query = 'LISTEN conduit_log'"

describe("Database.changes", () => {
  it.scopedLive(
    "wakes a replica for another one's commit without a poll, and again after its connection was terminated",
    () =>
      Effect.gen(function* () {
        const url = yield* scopedUrl(createDatabase)
        const [reader, writer] = [yield* replica(url, "reader"), yield* replica(url, "writer")]
        const folded = yield* Ref.make(0)
        yield* LearningLog.pipe(
          Effect.flatMap((log) => log.follow(0, (commit) => Ref.set(folded, commit.position))),
          Effect.provide(reader.log),
          Effect.forkScoped
        )
        const append = LearningLog.pipe(
          Effect.flatMap((log) => log.append([{ type: "reset", model: small }])),
          Effect.provide(writer.log)
        )
        const listening = Effect.promise(() =>
          query<{ pid: number }>(url, `SELECT pid FROM pg_stat_activity WHERE ${listeners} ORDER BY pid`)
        )
        const bothListen = (other: ReadonlyArray<number>) =>
          listening.pipe(
            Effect.repeat({
              schedule: Schedule.spaced("10 millis"),
              until: (rows) => rows.length === 2 && rows.every(({ pid }) => !other.includes(pid))
            }),
            Effect.zipRight(listening),
            within
          )
        const isTold = Effect.gen(function* () {
          const position = yield* append
          yield* Effect.repeat(Ref.get(folded), {
            schedule: Schedule.spaced("5 millis"),
            until: (seen) => seen >= position
          }).pipe(within)
        })

        const before = (yield* bothListen([])).map(({ pid }) => pid)
        yield* isTold
        const terminated = yield* Effect.promise(() =>
          query(url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${listeners}`)
        )
        assert.strictEqual(terminated.length, 2)
        yield* bothListen(before)
        yield* isTold
      })
  )

  it.scopedLive("tells the positions of its router alone", () =>
    Effect.gen(function* () {
      const url = yield* scopedUrl(createDatabase)
      const context = yield* Layer.build(Layer.fresh(databaseAt(url)))
      const db = yield* Database.pipe(Effect.provide(context))
      const [mine, other] = [RouterId("mine"), RouterId("mine.2")]
      for (const id of [mine, other]) yield* db.router(Option.some(id))
      const heard: Array<number> = []
      const enough = yield* Deferred.make<void>()
      yield* db.changes(mine).pipe(
        Stream.runForEach((position) =>
          Effect.suspend(() => {
            heard.push(position)
            return position === 2 ? Deferred.succeed(enough, undefined) : Effect.void
          })
        ),
        Effect.forkScoped
      )
      yield* Effect.promise(() => query(url, `SELECT 1 FROM pg_stat_activity WHERE ${listeners}`)).pipe(
        Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: (rows) => rows.length === 1 }),
        within
      )
      const commit = (routerId: RouterId, commitId: string) =>
        db.commit({
          routerId,
          commitId,
          decisions: [],
          reports: [],
          feedback: [],
          events: [{ type: "reset", model: small }],
          joined: [],
          maxParked: 0
        })
      yield* commit(other, "01900000-0000-7000-8000-000000000001")
      yield* commit(mine, "01900000-0000-7000-8000-000000000002")
      yield* commit(mine, "01900000-0000-7000-8000-000000000003")
      yield* Deferred.await(enough).pipe(within)
      assert.deepStrictEqual(heard, [1, 2])
    })
  )
})
