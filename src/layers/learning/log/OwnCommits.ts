import type { Position } from "../../../domain/basics/Ids.ts"
import type { StoredCommit } from "../../../services/storage/Database.ts"

/** So much is kept: whoever is further behind reads the log. */
const maxCommits = 256
const maxBytes = 16 * 1024 * 1024

/** The newest commits that this process has stored itself, so that they need not be read back. */
export interface OwnCommits {
  readonly add: (commit: StoredCommit) => void
  readonly at: (position: Position) => StoredCommit | undefined
  /** The log went back: what it had is not its any more. */
  readonly clear: () => void
}

export const makeOwnCommits = (): OwnCommits => {
  const commits = new Map<Position, StoredCommit>()
  let bytes = 0
  const remove = (commit: StoredCommit) => {
    if (commits.delete(commit.position)) bytes -= commit.payload.length
  }
  return {
    add: (commit) => {
      const before = commits.get(commit.position)
      if (before !== undefined) remove(before)
      commits.set(commit.position, commit)
      bytes += commit.payload.length
      for (const oldest of commits.values()) {
        if (commits.size <= maxCommits && bytes <= maxBytes) break
        remove(oldest)
      }
    },
    at: (position) => commits.get(position),
    clear: () => {
      commits.clear()
      bytes = 0
    }
  }
}
