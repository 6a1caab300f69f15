import * as Either from "effect/Either"
import type { ModelId } from "../../domain/Ids.ts"
import { type Usage, usageFrom } from "../../services/LanguageModels.ts"

/** What a stream says about itself on its way to the client. */
export interface StreamRelay {
  /**
   * The payload as the client gets it, or null if it is not for the client: `model` is the id that clients know; the
   * usage chunk passes only if the caller asked for it, with the cost. What is not a JSON object passes as it is.
   */
  readonly relay: (payload: string) => string | null
  readonly usage: () => Usage | null
  readonly finishReason: () => string | null
  /** Of text and tool arguments that were relayed. */
  readonly characters: () => number
}

const parse = (payload: string) => Either.try((): unknown => JSON.parse(payload))

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const lengthOf = (value: unknown) => (typeof value === "string" ? value.length : 0)

const deltaLength = (delta: unknown): number => {
  if (!isRecord(delta)) return 0
  const tools: ReadonlyArray<unknown> = Array.isArray(delta["tool_calls"]) ? delta["tool_calls"] : []
  return tools.reduce<number>(
    (sum, tool) => sum + (isRecord(tool) && isRecord(tool["function"]) ? lengthOf(tool["function"]["arguments"]) : 0),
    lengthOf(delta["content"])
  )
}

export const make = (options: {
  readonly model: ModelId
  readonly includeUsage: boolean
  readonly costUsd: (usage: Usage) => number | null
}): StreamRelay => {
  let usage: Usage | null = null
  let finishReason: string | null = null
  let characters = 0

  return {
    relay: (payload) => {
      const chunk = Either.getOrNull(parse(payload))
      if (!isRecord(chunk)) return payload
      const choices: ReadonlyArray<unknown> = Array.isArray(chunk["choices"]) ? chunk["choices"] : []
      for (const choice of choices) {
        if (!isRecord(choice)) continue
        characters += deltaLength(choice["delta"])
        if (typeof choice["finish_reason"] === "string") finishReason = choice["finish_reason"]
      }
      const counted = usageFrom(chunk["usage"])
      if (counted === null) return JSON.stringify({ ...chunk, model: options.model })
      usage = counted
      if (options.includeUsage) {
        return JSON.stringify({ ...chunk, model: options.model, conduit: { cost_usd: options.costUsd(counted) } })
      }
      return choices.length === 0 ? null : JSON.stringify({ ...chunk, model: options.model })
    },
    usage: () => usage,
    finishReason: () => finishReason,
    characters: () => characters
  }
}

/** Whether the caller wants the usage chunk. */
export const asksForUsage = (body: Readonly<Record<string, unknown>>): boolean =>
  isRecord(body["stream_options"]) && body["stream_options"]["include_usage"] === true
