import type { Position } from "../../../domain/basics/Ids.ts"
import { makeSignal, type Signal } from "./Signal.ts"

/** The newest position that anybody has told of, and the wake-up of those who wait for one. */
export interface News extends Pick<Signal, "count" | "after"> {
  readonly newest: () => Position
  readonly heard: (position: Position) => void
}

export const makeNews = (start: Position): News => {
  const signal = makeSignal()
  let newest = start
  return {
    count: signal.count,
    after: signal.after,
    newest: () => newest,
    heard: (position) => {
      if (position <= newest) return
      newest = position
      signal.notify()
    }
  }
}
