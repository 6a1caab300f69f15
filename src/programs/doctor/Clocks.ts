import { fail, type Line, pass, type Skew, spoken, warn } from "./Check.ts"

const tolerableMs = 2_000
const absurdMs = 60_000

/** The worst of what other clocks say about this one. Ids of decisions hold their time, and ages are counted from it. */
export const clockLines = (clocks: ReadonlyArray<Skew>): ReadonlyArray<Line> => {
  const sure = clocks.map((clock) => ({ ...clock, atLeastMs: Math.max(0, Math.abs(clock.aheadMs) - clock.errorMs) }))
  const [worst] = sure.sort((a, b) => b.atLeastMs - a.atLeastMs)
  if (worst === undefined) return []
  const off = `this machine is ${spoken(worst.atLeastMs / 1000)} ${worst.aheadMs > 0 ? "behind" : "ahead of"} ${worst.whose}`
  const todo = "let NTP keep both clocks (timedatectl, chronyc tracking)"
  if (worst.atLeastMs > absurdMs) return [fail("clock", off, todo)]
  if (worst.atLeastMs > tolerableMs) return [warn("clock", off, todo)]
  return [pass("clock", `agrees with ${sure.map(({ whose }) => whose).join(", ")}`)]
}
