import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import { durationText } from "../../../domain/basics/DurationText.ts"
import type { Parse } from "./Parsers.ts"

/**
 * One setting: the variable's name, its parser, its default, what it means and an example. Reading the environment,
 * collecting the defaults and collecting the guide's table each pass another function of this type to the same rows.
 */
export interface ReadSetting {
  <A>(
    name: string,
    parse: Parse<A>,
    byDefault: A,
    meaning: string,
    example: string,
    more?: {
      /** The default in words, where its value does not say it. */
      readonly shown?: string
      /** Another variable, read where this one is not set. */
      readonly alias?: string
      /** The value is never shown. */
      readonly secret?: boolean
    }
  ): A
}

/** What a setting may depend on besides the environment's variables. */
export interface Platform {
  /** Whether a person reads the output. */
  readonly terminal: boolean
  /** Processors that the process may use. */
  readonly cores: number
  /** SHA-256 in hex. */
  readonly sha256: (text: string) => string
}

/** A setting for people: the operators' guide and start-up errors are made from it. */
export interface SettingsRow {
  readonly name: string
  readonly default: string
  readonly meaning: string
  readonly example: string
}

/** The default as the guide shows it. */
export const defaultText = (value: unknown): string => {
  if (Duration.isDuration(value)) return durationText(value)
  if (Option.isOption(value)) return Option.match(value, { onNone: () => "none", onSome: defaultText })
  return typeof value === "object" ? "none" : String(value)
}
