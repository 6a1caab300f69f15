import type { Position } from "../basics/Ids.ts"

/** A commit of the learning log, told from every other one. */
export interface CommitKey {
  readonly position: Position
  /** A UUID. */
  readonly commitId: string
}

/** How far a log was read, and which commits it had there: by them its reader knows that it is still the same log. */
export interface LogMark {
  position: Position
  /** Of the newest commits up to the position, oldest first; none at the beginning. */
  recent: Array<CommitKey>
}

/**
 * So many commits are compared. After a failover each replica stores its one commit that was on its way again, perhaps at
 * the position that it had before: the same id then says nothing about what is before it. More commits than there are
 * replicas do.
 */
export const compared = 64

/** As far back it can be told exactly what a log has lost. */
const remembered = 4096

export const make = (position: Position): LogMark => ({ position, recent: [] })

export const copy = ({ position, recent }: LogMark): LogMark => ({ position, recent: recent.slice() })

/** The commit is read. */
export const advance = (mark: LogMark, { commitId, position }: CommitKey): void => {
  mark.position = position
  mark.recent.push({ commitId, position })
  if (mark.recent.length >= 2 * remembered) mark.recent = mark.recent.slice(-remembered)
}

/** What a log has up to and with a position; commits that were pruned are not there. */
export interface LogHead {
  /** The position of its newest commit. */
  readonly end: Position
  readonly before: ReadonlyArray<CommitKey>
}

const differs = ({ before }: LogHead) => {
  const oldest = before[0]?.position ?? Infinity
  const there = new Map(before.map(({ commitId, position }) => [position, commitId]))
  return ({ commitId, position }: CommitKey) => position >= oldest && there.get(position) !== commitId
}

/** Whether a log that has `head` up to and with `after` is the one that the mark was made in. */
export const isIn = (mark: LogMark, after: Position, head: LogHead): boolean => {
  const isOther = differs(head)
  return head.end >= after && !mark.recent.some((key) => key.position <= after && isOther(key))
}

/** What a log that went back has lost of what was read. */
export interface Loss {
  /** Nothing beyond this position is as it was read. */
  readonly common: Position
  /** Commits that were read and are not there any more. */
  readonly commits: number
  /** False where the log went back further than is remembered: it may be more. */
  readonly isExact: boolean
}

/** `head` reaches as far back as the mark remembers. */
export const lossOf = (mark: LogMark, head: LogHead): Loss => {
  const index = mark.recent.findIndex(differs(head))
  const common = Math.min((mark.recent[index]?.position ?? mark.position + 1) - 1, head.end)
  return { common, commits: mark.position - common, isExact: index > 0 || common === 0 }
}
