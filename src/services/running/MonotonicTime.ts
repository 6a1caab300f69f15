import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"

const live = Context.get(DefaultServices.liveServices, Clock.Clock)

/**
 * Milliseconds of the clock, for differences: finer than a millisecond, and not moved by a clock that steps. The clock of the
 * process answers big integers, a dozen times a request: of that one the same time is read as the number that it is.
 */
export const monotonicMs = (clock: Clock.Clock): number =>
  clock === live ? performance.now() : Number(clock.unsafeCurrentTimeNanos()) / 1e6
