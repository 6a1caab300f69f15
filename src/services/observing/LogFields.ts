import * as Context from "effect/Context"
import type { RouterId } from "../../domain/basics/Ids.ts"

/** Fields of every line of the log, from when they are known on. */
export interface LogFieldsShape {
  routerId: RouterId | null
  /** Its number, where the service has several. */
  worker?: number
}

/** A reference, which a program need not provide: whoever learns a field sets it, whether there is a log or not. */
export class LogFields extends Context.Reference<LogFields>()("conduit/services/LogFields", {
  defaultValue: (): LogFieldsShape => ({ routerId: null })
}) {}
