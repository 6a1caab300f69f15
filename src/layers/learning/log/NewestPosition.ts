import type { Position } from "../../../domain/basics/Ids.ts"
import { makeSignal, type Signal } from "./Signal.ts"

/** The newest position of the log that this replica has heard of, and the wake-up of those who wait for the next one. */
export interface NewestPosition extends Pick<Signal, "count" | "after"> {
  readonly current: () => Position
  readonly heard: (position: Position) => void
  /** The log went back. */
  readonly rewound: (end: Position) => void
}

export const makeNewestPosition = (start: Position): NewestPosition => {
  const signal = makeSignal()
  let newest = start
  return {
    count: signal.count,
    after: signal.after,
    current: () => newest,
    heard: (position) => {
      if (position <= newest) return
      newest = position
      signal.notify()
    },
    rewound: (end) => {
      newest = end
      signal.notify()
    }
  }
}
