import { effect, signal } from "@preact/signals"
import type { DecisionList, ModelEntry } from "../src/services/api/Responses.ts"
import { ask } from "./Api.ts"
import type { Mark } from "./Chart.tsx"
import { models } from "./Live.ts"

/** Of a model, since when its answers are no longer what they were. */
export interface KnownChange extends Mark {
  readonly model: string
  readonly change: NonNullable<ModelEntry["conduit"]["changed"]>
}

export const knownChanges = signal<ReadonlyArray<KnownChange>>([])

/** A change stands at a position of the log; the decisions say when that was. */
const newestBefore = async (untilMillis: number) => {
  const until = new Date(untilMillis).toISOString()
  const { body } = await ask<DecisionList>(`/v1/decisions?limit=1&until=${until}`)
  return body.data[0] ?? null
}

const furthestMillis = 30 * 86_400_000
const nearMillis = 5_000

/** By halving: when decisions began to be made with what is folded at that position. Null for longer ago than 30 days. */
const timeOf = async (position: number): Promise<number | null> => {
  let [low, high] = [Date.now() - furthestMillis, Date.now()]
  const first = await newestBefore(low)
  if (first !== null && first.policy.position >= position) return null
  while (high - low > nearMillis) {
    const middle = (low + high) / 2
    const found = await newestBefore(middle)
    if (found === null || found.policy.position < position) low = middle
    else high = Math.min(middle, Date.parse(found.created_at))
  }
  return high / 1000
}

const words = { down: "worse", up: "better", back: "back to normal" } as const

const asked = new Set<string>()

export const followChanges = (): void => {
  effect(() => {
    for (const { conduit, id } of models.value) {
      const { changed } = conduit
      const name = `${id} ${changed?.position}`
      if (changed === null || asked.has(name)) continue
      asked.add(name)
      timeOf(changed.position).then(
        (atSeconds) => {
          if (atSeconds === null) return
          const label = `${id} ${words[changed.direction]}${changed.task === null ? "" : ` at ${changed.task}`}`
          knownChanges.value = [...knownChanges.value, { model: id, change: changed, atSeconds, label }]
        },
        () => asked.delete(name)
      )
    }
  })
}
