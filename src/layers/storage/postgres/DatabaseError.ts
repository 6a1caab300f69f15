import * as Predicate from "effect/Predicate"
import { DatabaseError } from "../../../services/storage/Database.ts"

type Reason = DatabaseError["reason"]

const bySqlState: ReadonlyArray<readonly [prefix: string, reason: Reason]> = [
  ["08P01", "unexpected"],
  ["08", "connection"],
  ["57P0", "connection"],
  ["28", "authentication"],
  ["42501", "permission"],
  ["53100", "disk_full"],
  ["53300", "too_many_connections"],
  ["25006", "read_only"],
  // Out of memory, cancelled at its limit, a lock that was waited for in vain.
  ["53200", "timeout"],
  ["57014", "timeout"],
  ["55P03", "timeout"],
  // Idle in a transaction for too long.
  ["25P03", "timeout"],
  // Whatever the statement: its files, its disk, a limit of its own, an operator.
  ["53", "system_error"],
  ["55", "system_error"],
  ["57", "system_error"],
  ["58", "system_error"],
  ["40", "conflict"],
  ["22", "constraint"],
  ["23", "constraint"]
]

const errno: Record<string, Reason> = {
  ECONNREFUSED: "connection",
  ECONNRESET: "connection",
  ECONNABORTED: "connection",
  EPIPE: "connection",
  ENOTFOUND: "connection",
  EAI_AGAIN: "connection",
  EHOSTUNREACH: "connection",
  ENETUNREACH: "connection",
  ENOENT: "connection",
  ETIMEDOUT: "timeout",
  EACCES: "permission"
}

/** The driver gives no code for what it finds out itself. */
const byMessage: ReadonlyArray<readonly [pattern: RegExp, reason: Reason]> = [
  [/timeout/i, "timeout"],
  [/password|SASL|SCRAM/i, "authentication"],
  [/connection|connect|socket|not queryable|calling end on the pool|SSL|certificate/i, "connection"]
]

const stringAt = (value: unknown, key: string): string | undefined => {
  const found = Predicate.isRecord(value) ? value[key] : undefined
  return typeof found === "string" ? found : undefined
}

/** The driver's own error under the wrappers. */
const root = (error: unknown): unknown => {
  const cause = Predicate.isRecord(error) ? error["cause"] : undefined
  return cause !== undefined && stringAt(error, "code") === undefined ? root(cause) : error
}

/** Every message on the way down to it: the pool names a connect time-out above the socket's end that it caused itself. */
const messagesOf = (error: unknown): ReadonlyArray<string> => {
  const message = stringAt(error, "message")
  const cause = Predicate.isRecord(error) ? error["cause"] : undefined
  return [...(message === undefined ? [] : [message]), ...(cause === undefined ? [] : messagesOf(cause))]
}

export const sqlState = (error: unknown): string | undefined => {
  const code = stringAt(root(error), "code")
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) ? code : undefined
}

/** A pooler ends a connection with one of these when it has no server to pass it on to. */
const endedByPooler = /^(08P01|58|XX)/

const reasonOfState = (state: string, isFatal: boolean): Reason =>
  isFatal && endedByPooler.test(state)
    ? "connection"
    : (bySqlState.find(([prefix]) => state.startsWith(prefix))?.[1] ?? "unexpected")

/** The constraint that a unique violation names. */
export const violated = (error: unknown): string | undefined =>
  sqlState(error) === "23505" ? stringAt(root(error), "constraint") : undefined

/** Classes whose messages name objects only; those of others can repeat values. */
const speaking = /^(08|23|25|28|3D|40|42|53|55|57|58)/

export const toDatabaseError =
  (operation: string) =>
  (error: unknown): DatabaseError => {
    if (error instanceof DatabaseError) return error
    const cause = root(error)
    const message = stringAt(cause, "message") ?? ""
    const state = sqlState(cause)
    if (state !== undefined) {
      const reason = reasonOfState(state, stringAt(cause, "severity") === "FATAL")
      return new DatabaseError({
        operation,
        reason,
        detail: speaking.test(state) ? `${message}, ${state}` : `SQLSTATE ${state}`
      })
    }
    const code = stringAt(cause, "code")
    const reason =
      (code === undefined ? undefined : errno[code]) ??
      byMessage.find(([pattern]) => messagesOf(error).some((one) => pattern.test(one)))?.[1] ??
      "unexpected"
    return new DatabaseError({ operation, reason, detail: message === "" ? (code ?? "unknown error") : message })
  }
