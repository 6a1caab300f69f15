import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { DecisionRecord } from "../../domain/routing/DecisionRecord.ts"
import type { Learned as Judgement } from "../../domain/learning/CommitPlan.ts"
import type { DecisionId, Position, RouterId } from "../../domain/basics/Ids.ts"
import type { DatabaseError, RouterRow, StoredSnapshot } from "./Database.ts"

/** What the commands of an operator need of the database beside `Database`; the service itself never asks for it. */
export interface DatabaseToolsShape {
  /** As `Database.router`, but makes none. */
  readonly findRouter: (id: Option.Option<RouterId>) => Effect.Effect<Option.Option<RouterRow>, DatabaseError>

  /** The snapshots of all policies, newest first, without their bytes. */
  readonly snapshotList: (routerId: RouterId) => Effect.Effect<ReadonlyArray<SnapshotEntry>, DatabaseError>

  /**
   * Stores the snapshot if the log ends where it does, or moves a log without any commit there. It replaces one that is
   * stored at that position, which may be damaged. False if the log ends elsewhere.
   */
  readonly adopt: (
    routerId: RouterId,
    fingerprint: string,
    snapshot: StoredSnapshot
  ) => Effect.Effect<boolean, DatabaseError>

  /** The position of the newest commit that was begun before that instant (Unix milliseconds); 0 if there is none. */
  readonly positionAt: (routerId: RouterId, millis: number) => Effect.Effect<Position, DatabaseError>

  /** What costs were compared with lately, USD, as the service has told it; null where it has not yet. */
  readonly costReference: (routerId: RouterId) => Effect.Effect<number | null, DatabaseError>

  /**
   * Everybody's decisions that were made at states up to `position`, oldest first, after `after`, at most `limit`; each with
   * how its answer was judged, if it was.
   */
  readonly decisionsAfter: (
    routerId: RouterId,
    after: DecisionId | null,
    position: Position,
    limit: number
  ) => Effect.Effect<ReadonlyArray<DecisionRecord & { readonly judged: Judgement | null }>, DatabaseError>
}

export class DatabaseTools extends Context.Tag("conduit/services/DatabaseTools")<DatabaseTools, DatabaseToolsShape>() {}

export interface SnapshotEntry {
  readonly fingerprint: string
  readonly watermark: Position
  readonly bytes: number
  readonly ageSeconds: number
}
