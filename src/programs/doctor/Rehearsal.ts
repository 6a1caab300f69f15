import { randomBytes } from "node:crypto"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { DatabaseError } from "../../services/storage/Database.ts"
import type { EnvironmentShape } from "../../services/running/Environment.ts"
import { type SettingsShape, shutdownBudget } from "../../services/running/Settings.ts"
import type { Report } from "../../services/running/ShutdownReport.ts"
import { fail, inMillis, type Line, ofDefect, pass, shown, warn } from "./Check.ts"
import { rehearsalPrefix } from "./Learning.ts"
import { heldRequest, routed, spare, SpareFailed } from "./Spare.ts"

const name = "rehearsal"
const different =
  "its own host, port, router id, API key, log format and level and body time-out, and no telemetry export"

/** Between the limits of the phases, and for a process to go. */
const slack = Duration.seconds(5)
const startSlack = Duration.minutes(2)
const answerLimit = Duration.seconds(30)

const within =
  (limit: Duration.Duration, what: string) =>
  <A, R>(effect: Effect.Effect<A, SpareFailed, R>): Effect.Effect<A, SpareFailed, R> =>
    Effect.timeoutFail(effect, {
      duration: limit,
      onTimeout: () => new SpareFailed({ detail: `${what} did not come within ${shown(limit)}` })
    })

interface Played {
  readonly code: number | null
  readonly report: Report | null
  /** Of the request that was open at the signal. */
  readonly held: number
  /** Of the one that came during the settle; null without a settle. */
  readonly late: number | null
}

/** The play: one request is open when SIGTERM comes, and one more comes during the settle. */
const play = (
  { database, shutdown }: SettingsShape,
  environment: Readonly<Record<string, string>>,
  key: string
): Effect.Effect<Played, SpareFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const instance = yield* spare(environment)
    const startLimit = Duration.sum(database.connectDeadline, startSlack)
    const endLimit = Duration.sum(shutdownBudget(shutdown), slack)
    const url = yield* within(startLimit, "its start")(instance.ready)
    const before = yield* within(answerLimit, "its first answer")(routed(url, key))
    if (before !== 200)
      return yield* new SpareFailed({ detail: `the spare instance answers POST /v1/route with ${before}` })
    const held = yield* heldRequest(url, key)
    yield* within(answerLimit, "a connection")(held.accepted)
    yield* instance.terminate
    yield* within(answerLimit, "the begin of its shutdown")(instance.stopping)
    const late = Duration.greaterThan(shutdown.settle, Duration.zero)
      ? yield* within(answerLimit, "an answer during the settle")(routed(url, key))
      : null
    yield* within(endLimit, "its drain")(instance.draining)
    yield* held.send
    const status = yield* within(endLimit, "the answer of the open request")(held.status)
    const ended = yield* within(endLimit, "its end")(instance.ended)
    return { ...ended, held: status, late }
  })

const barWidth = 40

/** When each phase ran, and of what limit. */
const pictureOf = ({ phases }: Report): ReadonlyArray<string> => {
  const total = Math.max(
    1,
    phases.reduce((sum, phase) => sum + phase.took_ms, 0)
  )
  const column = (millis: number) => Math.round((millis / total) * barWidth)
  let atMs = 0
  return phases.map(({ limit_ms, outcome, phase, took_ms }) => {
    const from = column(atMs)
    atMs += took_ms
    const length = Math.max(took_ms > 0 ? 1 : 0, column(atMs) - from)
    const bar = `${"·".repeat(Math.min(from, barWidth - length))}${"█".repeat(length)}`.padEnd(barWidth, "·")
    return `${phase.padEnd(7)} ${bar} ${inMillis(took_ms).padStart(7)} of ${limit_ms / 1000} s${outcome === "ok" || outcome === "skipped" ? "" : `, ${outcome}`}`
  })
}

/** What was not as it should be. */
const faultsOf = ({ code, held, late, report }: Played, grace: Duration.Duration): ReadonlyArray<string> => {
  if (report === null) return [`it ended with ${code ?? "a signal"} and wrote no report`]
  const { duration_seconds, errors, learning, requests } = report
  const isSumOff =
    requests.in_flight_at_signal + requests.accepted_during_settle !== requests.drained + requests.interrupted ||
    learning.pending !== learning.persisted + learning.unpersisted
  return [
    ...(code === 0 ? [] : [`exit code ${code ?? "none"}`]),
    ...errors.map(({ message }) => message),
    ...(held === 200 ? [] : [`the request that was open at the signal got ${held}`]),
    ...(late === null || late === 200 ? [] : [`the request that came during the settle got ${late}`]),
    ...(requests.in_flight_at_signal > 0 ? [] : ["it did not count the request that was open at the signal"]),
    ...(isSumOff ? ["the sums of its report do not add up"] : []),
    ...(duration_seconds * 1000 <= Duration.toMillis(grace) ? [] : [`it took ${duration_seconds} s`])
  ]
}

const lineOf = (played: Played, { shutdown }: SettingsShape): Line => {
  const { report } = played
  const faults = faultsOf(played, shutdown.terminationGrace)
  const picture = report === null ? [] : pictureOf(report)
  if (report === null || faults.length > 0) {
    const todo = "docs/operations.md, Troubleshooting, says what each error of the report means"
    return { ...fail(name, `${faults.join("; ")} (${different})`, todo), picture }
  }
  const { duration_seconds, learning, requests } = report
  const text = `exit code 0 after ${duration_seconds.toFixed(2)} s of the ${shown(shutdown.terminationGrace)}; ${requests.drained} of ${requests.in_flight_at_signal + requests.accepted_during_settle} open requests answered, ${learning.unpersisted} events lost; a spare instance with ${different}`
  return { ...pass(name, text), picture }
}

const scratchFolder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), rehearsalPrefix))),
  (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
)

/** The environment of the spare instance: this one, but for what would touch what is real. */
const environmentOf = ({ variables }: EnvironmentShape, more: Readonly<Record<string, string>>) => ({
  ...Object.fromEntries(variables),
  OTEL_SDK_DISABLED: "true",
  CONDUIT_HOST: "127.0.0.1",
  CONDUIT_PORT: "0",
  LOG_FORMAT: "json",
  LOG_LEVEL: "INFO",
  ...more
})

/** Whether a spare instance would find everything as the real one does, and migrate nothing. */
const obstacle = (lines: ReadonlyArray<Line>): Line | undefined =>
  lines.find((line) => line.status === "fail" || (line.name === "schema" && line.status !== "pass"))

/** A spare instance is started, given work, told to end, and looked at; what it stored is deleted. */
export const rehearsalLines = (
  settings: SettingsShape,
  environment: EnvironmentShape,
  before: ReadonlyArray<Line>,
  removeRouter: (id: string) => Effect.Effect<void, DatabaseError>
): Effect.Effect<ReadonlyArray<Line>> => {
  const inTheWay = obstacle(before)
  if (inTheWay !== undefined) {
    return Effect.succeed([
      warn(name, `left out: ${inTheWay.name} comes first, see above`, "correct that, and run this again")
    ])
  }
  const routerId = `${rehearsalPrefix}${randomBytes(4).toString("hex")}`
  const key = randomBytes(24).toString("hex")
  const played = Effect.gen(function* () {
    const folder = Option.isSome(settings.database.url) ? null : yield* scratchFolder
    const spareEnvironment = environmentOf(environment, {
      CONDUIT_ROUTER_ID: routerId,
      CONDUIT_API_KEYS: key,
      CONDUIT_BODY_TIMEOUT: String(Duration.toSeconds(settings.shutdown.drainTimeout) + 60),
      ...(folder === null ? {} : { CONDUIT_DATA_DIRECTORY: folder })
    })
    return lineOf(yield* play(settings, spareEnvironment, key), settings)
  }).pipe(
    Effect.scoped,
    Effect.catchAll((error) =>
      Effect.succeed(fail(name, `${error.detail} (${different})`, "run `conduit serve` by hand, and read its log"))
    )
  )
  // However it went, and if it was interrupted too: the instance is gone by then.
  return Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(restore(played))
      const swept = yield* Effect.either(removeRouter(routerId))
      const line = yield* exit
      return swept._tag === "Right"
        ? [line]
        : [line, warn(name, `rows of the router ${routerId} are left: ${swept.left.message}`, "delete them by its key")]
    })
  ).pipe(Effect.catchAllDefect((defect) => Effect.succeed([ofDefect(name, defect)])))
}
