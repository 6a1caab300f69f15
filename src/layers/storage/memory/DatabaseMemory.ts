import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { RouterId } from "../../../domain/basics/Ids.ts"
import { Database, DatabaseError } from "../../../services/storage/Database.ts"
import { makeBudgetStore } from "./BudgetStoreMemory.ts"
import { makeKeyStore } from "./KeyStoreMemory.ts"
import { savingsOf, statsOf } from "./MemoryStats.ts"
import { RepeatedDecision, RouterState } from "./RouterState.ts"

const remembered = RouterId("router-memory")

/** Everything a database does, until the process ends. */
export const layer: Layer.Layer<Database> = Layer.sync(Database, () => {
  const routers = new Map<RouterId, RouterState>()

  const at = <A>(operation: string, id: RouterId, use: (router: RouterState) => A) =>
    Effect.suspend(() => {
      const router = routers.get(id)
      return router === undefined
        ? Effect.fail(new DatabaseError({ operation, reason: "unexpected", detail: `there is no router ${id}` }))
        : Effect.succeed(use(router))
    })

  /** A router that was never made has no rows. */
  const rowsOf = <A>(id: RouterId, use: (router: RouterState) => A) =>
    Effect.sync(() => use(routers.get(id) ?? new RouterState("")))

  return Database.of({
    router: (id) =>
      Effect.sync(() => {
        const routerId = Option.getOrElse(id, () => remembered)
        const router = routers.get(routerId) ?? new RouterState(`seed of ${routerId}`)
        routers.set(routerId, router)
        return { id: routerId, seed: router.seed, position: router.position }
      }),
    position: (id) => at("position", id, (router) => router.position),

    commit: (commit) =>
      at("commit", commit.routerId, (router) => router.commit(commit)).pipe(
        Effect.catchAllDefect((defect) =>
          defect instanceof RepeatedDecision
            ? new DatabaseError({
                operation: "commit",
                reason: "constraint",
                detail: "a decision with this id is stored already"
              })
            : Effect.die(defect)
        )
      ),
    readLog: (id, range) => at("readLog", id, (router) => router.readLog(range)),
    changes: () => Stream.empty,
    oldestPosition: (id) => rowsOf(id, (router) => router.oldestPosition()),
    prune: (id, limits, batch) => at("prune", id, (router) => router.prune(limits, batch)),

    decision: (id, decisionId) => rowsOf(id, (router) => Option.fromNullable(router.decision(decisionId))),
    decisions: (id, query) => rowsOf(id, (router) => router.list(query)),
    stats: (id, query) => rowsOf(id, (router) => statsOf(router.decisions.values(), query, router.costReferences)),
    // They are added up at each question.
    addUp: (id, options) =>
      rowsOf(id, (router) => {
        router.tellReference(options)
        return { added: 0, isDone: true }
      }),
    savings: (id, query) => rowsOf(id, (router) => savingsOf(router.decisions.values(), query)),
    sessionDecisions: (id, session, limit) => rowsOf(id, (router) => router.ofSession(session, limit)),
    feedbackByKey: (id, key) => rowsOf(id, (router) => Option.fromNullable(router.feedbackByKey(key))),
    joinable: (id, limit) => rowsOf(id, (router) => router.joinable(limit)),

    snapshots: (id, fingerprint) => rowsOf(id, (router) => router.snapshots(fingerprint)),
    saveSnapshot: (id, fingerprint, snapshot, last) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        at("saveSnapshot", id, (router) => router.saveSnapshot(fingerprint, snapshot, now, last))
      ),
    dropSnapshotsAfter: (id, position) => at("dropSnapshotsAfter", id, (router) => router.dropSnapshotsAfter(position)),

    keys: makeKeyStore(),
    budgets: makeBudgetStore(routers)
  })
})
