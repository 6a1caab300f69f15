import type { ModelId } from "../../basics/Ids.ts"
import type { Price } from "../../routing/Cost.ts"
import type { Weights } from "../../routing/Weights.ts"
import type { Prior } from "../bandit/Hierarchical.ts"

/** One model that may be chosen. */
export interface Arm extends Prior {
  readonly model: ModelId
}

/** Where an algorithm works: fixed for a run. */
export interface World {
  /** In the order of the configuration. */
  readonly arms: ReadonlyArray<Arm>
  /** Length of the features; the first one is 1. */
  readonly dimension: number
  /** Sum 1. */
  readonly weights: Weights
  readonly costReferenceUsd: number
  readonly latencyReferenceSeconds: number
  /** All chance comes from here: the same seed and the same answers make the same choices. */
  readonly seed: string
  /** USD that a request may cost on average; null without a budget. */
  readonly budgetUsd: number | null
  /** Arm of `fixed`. */
  readonly fixed: number
}

/** A request, as an algorithm sees it before it chooses. */
export interface Asked {
  /** Unique within the run. */
  readonly key: string
  readonly features: Float32Array
  readonly task: string | null
  readonly inputTokens: number
  /** Arms that can be chosen now, at least one, ascending. */
  readonly eligible: ReadonlyArray<number>
  /** Of each arm, now. */
  readonly prices: ReadonlyArray<Price>
  /** Of each arm, what it would be worth: for algorithms that see everything, and no other. */
  readonly rewards?: ReadonlyArray<number>
}

/** What one arm did with a request. */
export interface Answer {
  readonly arm: number
  readonly outputTokens: number
  readonly latencySeconds: number
  readonly costUsd: number
  /** [0, 1]. */
  readonly quality: number
  /** What that, its cost and its latency are worth by the weights of the world, [0, 1]. */
  readonly reward: number
}

/** The algorithm at work: it chooses, and hears what became of the choices, in any order and of some never. */
export interface Learner {
  readonly choose: (asked: Asked) => number
  /** The call ended: what it cost and how long it took is known. */
  readonly ran: (asked: Asked, answer: Answer) => void
  /** The answer was judged. */
  readonly judged: (asked: Asked, answer: Answer) => void
  /** How often it has noticed that an arm has changed, by arm. */
  readonly changes: () => ReadonlyArray<number>
}

export interface Algorithm {
  readonly name: string
  /** One line, with its source. */
  readonly description: string
  /** Whether `Asked.rewards` is there: nothing that serves can have that. */
  readonly seesEverything?: true
  readonly make: (world: World) => Learner
}

/** For algorithms that learn from rewards alone, or from nothing. */
export const learner = (choose: Learner["choose"], judged: Learner["judged"] = () => {}): Learner => ({
  choose,
  ran: () => {},
  judged,
  changes: () => []
})

/** The eligible arm with the largest value; of equal ones the first. */
export const largest = (eligible: ReadonlyArray<number>, valueOf: (arm: number) => number): number => {
  let best = eligible[0] ?? 0
  let highest = Number.NEGATIVE_INFINITY
  for (const arm of eligible) {
    const value = valueOf(arm)
    if (value <= highest) continue
    best = arm
    highest = value
  }
  return best
}

/** The eligible arm in whose part of the line from 0 to 1 the point lies. */
export const drawn = (eligible: ReadonlyArray<number>, shares: ReadonlyArray<number>, point: number): number => {
  let end = 0
  for (const [i, arm] of eligible.entries()) {
    end += shares[i] ?? 0
    if (point < end) return arm
  }
  return eligible.at(-1) ?? 0
}

/** Count, sum and sum of squares of the rewards of each arm. */
export interface Tally {
  n: number
  sum: number
  squares: number
}

export const tallies = ({ arms }: World): ReadonlyArray<Tally> => arms.map(() => ({ n: 0, sum: 0, squares: 0 }))

export const add = (tally: Tally | undefined, reward: number): void => {
  if (tally === undefined) return
  tally.n += 1
  tally.sum += reward
  tally.squares += reward * reward
}
