import * as Redacted from "effect/Redacted"
import type { Provider } from "../../services/models/ModelCatalog.ts"

type Headers = Readonly<Record<string, string>>

const none: Headers = {}

/** The version of Anthropic's API that is asked for where the client names none. */
const anthropicVersion: Headers = { "anthropic-version": "2023-06-01" }

/** By which a provider knows who calls. */
export const keyHeaders = ({ apiKey, kind }: Provider): Headers => {
  if (apiKey === null) return none
  const key = Redacted.value(apiKey)
  switch (kind) {
    case "anthropic":
      return { "x-api-key": key }
    case "gemini":
      return { "x-goog-api-key": key }
    default:
      return { authorization: `Bearer ${key}` }
  }
}

/** What a call has where the client says nothing else. */
export const defaultHeaders = ({ kind }: Provider): Headers => (kind === "anthropic" ? anthropicVersion : none)
