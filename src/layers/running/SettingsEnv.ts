import { createHash } from "node:crypto"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { durationText } from "../../domain/basics/DurationText.ts"
import { isLoopback } from "../../domain/basics/Loopback.ts"
import { Environment } from "../../services/running/Environment.ts"
import type { SettingsShape } from "../../services/running/Settings.ts"
import {
  flushLimit,
  InvalidSettings,
  Settings,
  settingsFrom,
  settingsTable,
  shutdownBudget,
  terminateLimit,
  unknownNames
} from "../../services/running/Settings.ts"
import { cores } from "./Cores.ts"
import { hasKeys } from "../../services/running/settings/Http.ts"
import type { ReadSetting } from "../../services/running/settings/Setting.ts"

/** The only place that reads the environment of the process. */
export const environment: Layer.Layer<Environment> = Layer.sync(Environment, () => ({
  variables: new Map(
    Object.entries(process.env).flatMap(([name, value]): Array<[string, string]> =>
      value === undefined || value.trim() === "" ? [] : [[name, value.trim()]]
    )
  ),
  terminal: process.stdout.isTTY === true
}))

/** The settings of an environment; all its problems at once. */
export const fromEnvironment: Layer.Layer<Settings, InvalidSettings, Environment> = Layer.effect(
  Settings,
  Effect.gen(function* () {
    const { terminal, variables } = yield* Environment
    const problems = new Map<string, string>()
    const settings = settingsFrom(readFrom(variables, problems), { terminal, cores: cores(), sha256 })
    for (const { names, problem } of impossible(settings)) {
      // What has a problem of its own is not blamed again.
      if (!names.some((name) => problems.has(name))) problems.set(names[0], problem)
    }
    if (problems.size > 0) return yield* new InvalidSettings({ problems: [...problems.values()] })
    return settings
  })
)

export const layer: Layer.Layer<Settings, InvalidSettings> = fromEnvironment.pipe(Layer.provide(environment))

/** What does not keep the service from starting, but somebody should know. */
export const warnings: Effect.Effect<ReadonlyArray<string>, never, Settings | Environment> = Effect.gen(function* () {
  const { shutdown } = yield* Settings
  const { variables } = yield* Environment
  return [...graceExceeded(shutdown), ...unknownNames(variables)]
})

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex")

/** Reads a variable; a wrong value becomes a problem, with what would be right, and the default is used instead. */
const readFrom =
  (variables: ReadonlyMap<string, string>, problems: Map<string, string>): ReadSetting =>
  (setting, parse, byDefault, _meaning, example, more) => {
    const name = more?.alias !== undefined && !variables.has(setting) ? more.alias : setting
    const value = variables.get(name)
    if (value === undefined) return byDefault
    return Either.getOrElse(parse(value), (right) => {
      const shown = more?.secret === true ? "its value (not shown)" : JSON.stringify(value.slice(0, 200))
      problems.set(name, `${name}: ${shown} is not right: ${right}; for example ${example}`)
      return byDefault
    })
  }

const seconds = (duration: Duration.Duration) => `${Duration.toSeconds(duration)} s`

const graceExceeded = (shutdown: SettingsShape["shutdown"]) => {
  const budget = shutdownBudget(shutdown)
  return Duration.greaterThan(budget, shutdown.terminationGrace)
    ? [
        `a shutdown can take ${seconds(budget)} (drain ${seconds(shutdown.drainTimeout)}, persist ${seconds(shutdown.persistTimeout)}, close ${seconds(shutdown.closeTimeout)} + ${seconds(terminateLimit)}, flush ${seconds(flushLimit)}), more than CONDUIT_TERMINATION_GRACE=${seconds(shutdown.terminationGrace)}: lower a limit, or raise the grace here and in the orchestrator`
      ]
    : []
}

/** A combination of values that are right each, and cannot be true together; the first of its names is reported. */
interface Impossible {
  readonly names: readonly [string, ...ReadonlyArray<string>]
  readonly problem: string
}

const impossible = ({ database, http, production, shutdown }: SettingsShape): ReadonlyArray<Impossible> => {
  const found: Array<Impossible> = []
  if (production && Option.isNone(database.url)) {
    found.push({
      names: ["DATABASE_URL"],
      problem: `DATABASE_URL: is not set, and NODE_ENV=production needs it; for example ${exampleOf("DATABASE_URL")}`
    })
  }
  if (production && !hasKeys(http) && !isLoopback(http.host) && !http.allowAnonymous) {
    found.push({
      names: ["CONDUIT_API_KEYS"],
      problem: `CONDUIT_API_KEYS: is not set, and with NODE_ENV=production CONDUIT_HOST=${http.host} would let everybody call: set keys, listen on 127.0.0.1, or set CONDUIT_ALLOW_ANONYMOUS=true`
    })
  }
  if (Duration.greaterThan(shutdown.settle, shutdown.drainTimeout)) {
    found.push({
      names: ["CONDUIT_SHUTDOWN_SETTLE", "CONDUIT_SHUTDOWN_TIMEOUT"],
      problem: `CONDUIT_SHUTDOWN_SETTLE: ${durationText(shutdown.settle)} is longer than CONDUIT_SHUTDOWN_TIMEOUT=${durationText(shutdown.drainTimeout)}, which includes it: lower it, or raise the time-out`
    })
  }
  return found
}

const exampleOf = (name: string) => settingsTable.find((row) => row.name === name)?.example ?? ""
