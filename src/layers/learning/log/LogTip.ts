import type { Position } from "../../../domain/basics/Ids.ts"
import type { StoredCommit } from "../../../services/storage/Database.ts"
import { makeSignal, type Signal } from "./Signal.ts"

/** So many own commits are kept: whoever is further behind reads the log. */
const maxCommits = 256
const maxBytes = 16 * 1024 * 1024

/**
 * The end of the log as this replica knows it: the newest position that it has heard of, the wake-up of those who wait for
 * the next one, and the newest commits that it has stored itself, so that they need not be read back.
 */
export class LogTip implements Omit<Signal, "notify"> {
  readonly count: Signal["count"]
  readonly after: Signal["after"]
  readonly afterAtMost: Signal["afterAtMost"]
  readonly #notify: Signal["notify"]
  readonly #own = new Map<Position, StoredCommit>()
  #ownBytes = 0
  #newest: Position

  constructor(start: Position) {
    const signal = makeSignal()
    this.count = signal.count
    this.after = signal.after
    this.afterAtMost = signal.afterAtMost
    this.#notify = signal.notify
    this.#newest = start
  }

  /** The newest position that this replica has heard of. */
  get newest(): Position {
    return this.#newest
  }

  /** Somebody told of that position, or it was read. */
  heard(position: Position): void {
    if (position <= this.#newest) return
    this.#newest = position
    this.#notify()
  }

  /** This process has stored that commit. */
  stored(commit: StoredCommit): void {
    const before = this.#own.get(commit.position)
    if (before !== undefined) this.#remove(before)
    this.#own.set(commit.position, commit)
    this.#ownBytes += commit.payload.length
    for (const oldest of this.#own.values()) {
      if (this.#own.size <= maxCommits && this.#ownBytes <= maxBytes) break
      this.#remove(oldest)
    }
    this.heard(commit.position)
  }

  /** The commits of this process that come next behind the position, without a gap. */
  ownAfter(position: Position): ReadonlyArray<StoredCommit> {
    const commits: Array<StoredCommit> = []
    for (let found = this.#own.get(position + 1); found !== undefined; found = this.#own.get(found.position + 1)) {
      commits.push(found)
    }
    return commits
  }

  /** The log went back: what it had is not its any more. */
  rewound(end: Position): void {
    this.#own.clear()
    this.#ownBytes = 0
    this.#newest = end
    this.#notify()
  }

  #remove(commit: StoredCommit): void {
    if (this.#own.delete(commit.position)) this.#ownBytes -= commit.payload.length
  }
}
