import * as Context from "effect/Context"

/** Where the log and the shutdown report go. */
export interface OutputShape {
  /** Writes a line before it returns, in order: to stdout, or to stderr once stdout is closed or while nobody reads it. Never fails. */
  readonly line: (text: string) => void
  /** Writes the shutdown report, likewise: a worker's goes to its parent, and to stdout when that has gone. */
  readonly report: (text: string) => void
  /** The file descriptor to which the report goes. */
  readonly descriptor: () => number
  /** A person reads it: colour is welcome. */
  readonly isTerminal: boolean
}

export class Output extends Context.Tag("conduit/services/Output")<Output, OutputShape>() {}
