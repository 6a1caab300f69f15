import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { userInfo } from "node:os"
import type { AuditAction, AuditNote } from "../../services/storage/KeyStore.ts"
import type { OpenRouter } from "./OpenRouter.ts"

/** Who runs this; a container may have a user without a name. */
export const systemUser = (): string => {
  try {
    return userInfo().username
  } catch {
    return "an operator"
  }
}

/** As the audit names whoever runs a command. */
export const operator = (): string => `command line: ${systemUser()}`

/** Writes a line of the audit about what was done. */
export const audited = (
  { database, router }: OpenRouter,
  action: AuditAction,
  subject: string,
  details: AuditNote["details"]
) =>
  Effect.flatMap(Clock.currentTimeMillis, (atMillis) =>
    database.keys.note({
      atMillis,
      actor: operator(),
      action,
      subject,
      details: { ...details, router_id: router.id }
    })
  )
