import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Fold from "../../../domain/learning/Fold.ts"
import type { LearningLogShape } from "../../../services/learning/LearningLog.ts"
import * as EpisodeLog from "../../../services/observing/EpisodeLog.ts"
import { type DatabaseError, isAway } from "../../../services/storage/Database.ts"
import type { LiveFold } from "./LiveFold.ts"

const interval = Duration.minutes(1)
/** After so many events a snapshot does not wait for its minute; several replicas may store the same one. */
const eventsPerSnapshot = 20_000

/** Stores what is folded. */
export interface Snapshots {
  /** Stores the state, unless it is stored already or must not be; answers whether it was stored now. */
  readonly save: Effect.Effect<boolean, DatabaseError>
  /** The same, but failures are logged, and are in the way of nothing. */
  readonly trySave: Effect.Effect<void>
  /** Stores the state whenever it is due, for ever. */
  readonly run: Effect.Effect<never>
  /** Another state took the place of the one that was folded: it is not stored yet. */
  readonly replaced: () => void
  /** Since a snapshot held all that was learned. */
  readonly ageSeconds: () => number
}

export const make = Effect.fnUntraced(function* (options: {
  readonly log: LearningLogShape
  readonly fingerprint: string
  readonly live: LiveFold
}) {
  const { fingerprint, live, log } = options
  const clock = yield* Effect.clock
  // It holds one: what comes while it is full asks for the same.
  const due = yield* Queue.sliding<void>(1)
  const trouble = EpisodeLog.make({
    began: (error: DatabaseError) =>
      Effect.logWarning(`the snapshot at position ${live.position()} is not stored: ${error.message}`),
    ended: ({ failures, seconds }) =>
      Effect.logInfo(`snapshots are stored again after ${seconds}s: ${failures} failed attempt(s)`)
  })
  let savedPosition = live.position()
  let savedAtMillis = clock.unsafeCurrentTimeMillis()
  let eventsSince = 0

  live.onFolded((events) => {
    eventsSince += events
    if (eventsSince >= eventsPerSnapshot) due.unsafeOffer()
  })

  const save = Effect.suspend(() => {
    if (!live.isUsable() || live.isIncomplete()) return Effect.succeed(false)
    const startedAtMillis = clock.unsafeCurrentTimeMillis()
    const fold = live.fold()
    const watermark = Fold.position(fold)
    if (watermark === 0 || watermark === savedPosition) {
      savedAtMillis = startedAtMillis
      return Effect.succeed(false)
    }
    eventsSince = 0
    return Effect.tap(
      log.saveSnapshot(fingerprint, { watermark, state: Fold.encode(fold) }, Fold.last(fold)),
      (isStored) =>
        Effect.sync(() => {
          if (!isStored || live.fold() !== fold) return
          savedPosition = watermark
          savedAtMillis = startedAtMillis
        })
    )
  })

  const trySave = Effect.matchEffect(save, {
    onSuccess: (isStored) => (isStored ? trouble.worked : Effect.void),
    onFailure: (error) => {
      // That the database is away is logged already; the first failure may be the beginning of it.
      const isAwayKnown = log.backlog().lastError !== null
      return trouble.failed(error, !isAwayKnown && (trouble.isOpen() || !isAway(error)))
    }
  })

  return {
    save,
    trySave,
    run: Effect.forever(Effect.zipRight(Effect.raceFirst(Effect.sleep(interval), Queue.take(due)), trySave)),
    replaced: () => {
      savedPosition = 0
    },
    ageSeconds: () => (clock.unsafeCurrentTimeMillis() - savedAtMillis) / 1000
  } satisfies Snapshots
})
