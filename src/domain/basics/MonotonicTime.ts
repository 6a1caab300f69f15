import type { Clock } from "effect/Clock"

/** For differences, finer than a millisecond, and not moved by a clock that steps. */
export const monotonicMs = (clock: Clock): number => Number(clock.unsafeCurrentTimeNanos()) / 1e6
