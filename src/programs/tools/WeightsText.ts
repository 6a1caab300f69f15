import * as Effect from "effect/Effect"
import { normalise, type Weights } from "../../domain/routing/Weights.ts"
import { Refused } from "./Refused.ts"

/** `quality,cost,latency` as an option has them. */
export const weightsOf = (text: string): Effect.Effect<Weights, Refused> => {
  const parts = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)))
  const [quality, cost, latency] = parts
  const isRight =
    parts.length === 3 && parts.every((part) => Number.isFinite(part) && part >= 0) && parts.some((part) => part > 0)
  return isRight && quality !== undefined && cost !== undefined && latency !== undefined
    ? Effect.succeed(normalise({ quality, cost, latency }))
    : new Refused({
        detail: `--weights ${JSON.stringify(text)}: three numbers of 0 or more, quality,cost,latency, for example 0.7,0.2,0.1`
      })
}
