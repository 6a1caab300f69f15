import * as Context from "effect/Context"

/** What the process was started with; read once, in one place. */
export interface EnvironmentShape {
  /** The environment's variables; those that are empty are left out, because an empty one means unset. */
  readonly variables: ReadonlyMap<string, string>
  /** Whether a person reads the output. */
  readonly terminal: boolean
}

export class Environment extends Context.Tag("conduit/services/Environment")<Environment, EnvironmentShape>() {}
