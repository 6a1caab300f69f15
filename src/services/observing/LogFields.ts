import * as Context from "effect/Context"
import type { RouterId } from "../../domain/basics/Ids.ts"

/** What every line of the log says of this process, from when it is known on. */
export interface LogFieldsShape {
  routerId: RouterId | null
}

/** A reference, not a service that a program must provide: who learns a fact notes it, whether a log is kept or not. */
export class LogFields extends Context.Reference<LogFields>()("conduit/services/LogFields", {
  defaultValue: (): LogFieldsShape => ({ routerId: null })
}) {}
