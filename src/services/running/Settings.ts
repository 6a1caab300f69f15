import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { nearestName } from "../../domain/basics/NearestName.ts"
import { budget } from "./settings/Budget.ts"
import { http } from "./settings/Http.ts"
import { learning, retention } from "./settings/Learning.ts"
import { log } from "./settings/Log.ts"
import { models } from "./settings/Models.ts"
import { otlp } from "./settings/Otlp.ts"
import { defaultText, type Platform, type ReadSetting, type SettingsRow } from "./settings/Setting.ts"
import { shutdown } from "./settings/Shutdown.ts"
import { database, redis } from "./settings/Storage.ts"
import { workers } from "./settings/Workers.ts"

/** Everything that can be set, by concern; a new setting is one row in the file of its concern. */
export const settingsFrom = (setting: ReadSetting, platform: Platform) =>
  ({
    production: setting(
      "NODE_ENV",
      (value) => Either.right(value === "production"),
      false,
      "`production` demands `DATABASE_URL` and a usable model",
      "production",
      { shown: "none" }
    ),
    workers: workers(setting, platform),
    database: database(setting),
    redis: redis(setting),
    log: log(setting, platform),
    http: http(setting, platform),
    budget: budget(setting),
    learning: learning(setting),
    retention: retention(setting),
    models: models(setting),
    shutdown: shutdown(setting),
    otlp: otlp(setting)
  }) as const

export interface SettingsShape extends ReturnType<typeof settingsFrom> {}

export class Settings extends Context.Tag("conduit/services/Settings")<Settings, SettingsShape>() {}

const noPlatform: Platform = { terminal: false, cores: 1, sha256: (text) => text }

/** The settings of an empty environment without a terminal. */
export const defaults: SettingsShape = settingsFrom((_name, _parse, byDefault) => byDefault, noPlatform)

const tableOf = (): ReadonlyArray<SettingsRow> => {
  const rows: Array<SettingsRow> = []
  settingsFrom((name, _parse, byDefault, meaning, example, more) => {
    rows.push({ name, default: more?.shown ?? defaultText(byDefault), meaning, example })
    return byDefault
  }, noPlatform)
  return rows
}

/** Every variable that Conduit itself reads, in the order of the guide. */
export const settingsTable = tableOf()

const knownNames = settingsTable.map((row) => row.name)

/** A line for each name that begins as a setting and is none, with the setting that is probably meant. */
export const unknownNames = (variables: ReadonlyMap<string, string>): ReadonlyArray<string> =>
  [...variables.keys()]
    .filter((name) => name.startsWith("CONDUIT_") && !knownNames.includes(name))
    .sort()
    .map((name) => {
      const nearest = nearestName(name, knownNames)
      return `${name} is not a setting and is ignored${nearest === null ? "" : `: did you mean ${nearest}?`}`
    })

/** Grace for terminating backends after the pool did not close, and for the flush of telemetry and upstream pools. */
export const terminateLimit = Duration.seconds(1)
export const flushLimit = Duration.millis(500)

/** The longest a shutdown can take by its settings. */
export const shutdownBudget = (shutdown: SettingsShape["shutdown"]): Duration.Duration =>
  [shutdown.persistTimeout, shutdown.closeTimeout, terminateLimit, flushLimit].reduce(
    (sum, limit) => Duration.sum(sum, limit),
    shutdown.drainTimeout
  )

/** Every problem of the configuration at once, a line each: name, value (secrets never) and what would be right. */
export class InvalidSettings extends Schema.TaggedError<InvalidSettings>()("InvalidSettings", {
  problems: Schema.Array(Schema.String)
}) {
  override get message() {
    return `the configuration has ${this.problems.length} problem(s):\n${this.problems.map((p) => `  - ${p}`).join("\n")}`
  }
}
