import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** One line of the checklist. `todo` is there unless it passes. */
export interface Line {
  readonly name: string
  readonly status: "pass" | "warn" | "fail"
  readonly detail: string
  readonly todo: string | null
  /** For people only: lines under it. */
  readonly picture?: ReadonlyArray<string>
}

/** How far a clock elsewhere is ahead of this one. */
export interface Skew {
  readonly whose: string
  readonly aheadMs: number
  /** It may be wrong by so much either way. */
  readonly errorMs: number
}

/** What a group of checks found out. */
export interface Findings {
  readonly lines: ReadonlyArray<Line>
  readonly clocks: ReadonlyArray<Skew>
}

export const pass = (name: string, detail: string): Line => ({ name, status: "pass", detail, todo: null })
export const warn = (name: string, detail: string, todo: string): Line => ({ name, status: "warn", detail, todo })
export const fail = (name: string, detail: string, todo: string): Line => ({ name, status: "fail", detail, todo })

export const found = (...lines: ReadonlyArray<Line>): Findings => ({ lines, clocks: [] })

/** Messages of defects can repeat what they choked on, which may be a secret: the kind and the place are enough. */
const placeOf = (defect: unknown): string => {
  if (!(defect instanceof Error)) return typeof defect
  const at = /^\s+at (.*)$/m.exec(defect.stack ?? "")?.[1]
  return at === undefined ? defect.name : `${defect.name} in ${at}`
}

/** A bug in a check is a line that fails instead of the end of the command. */
export const ofDefect = (name: string, defect: unknown): Line =>
  fail(name, `the check itself failed: ${placeOf(defect)}`, "report this as a bug of Conduit")

/** A check has its own time limit, after which it is not waited for. */
export const guarded = <R>(
  name: string,
  limit: Duration.DurationInput,
  check: Effect.Effect<Findings, never, R>
): Effect.Effect<Findings, never, R> =>
  check.pipe(
    Effect.disconnect,
    Effect.timeoutTo({
      duration: limit,
      onSuccess: (findings) => findings,
      onTimeout: () => {
        const detail = `the check did not end within ${Duration.toSeconds(limit)} s`
        return found(fail(name, detail, "look at what is slow there, and run it again"))
      }
    }),
    Effect.catchAllDefect((defect) => Effect.succeed(found(ofDefect(name, defect))))
  )

export const shown = (duration: Duration.Duration): string => `${Duration.toSeconds(duration)} s`

export const inMillis = (millis: number): string =>
  millis < 10 ? `${millis.toFixed(1)} ms` : millis < 10_000 ? `${Math.round(millis)} ms` : spoken(millis / 1000)

/** An age, or another long time. */
export const spoken = (seconds: number): string => {
  if (seconds < 120) return `${Math.round(seconds)} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`
}
