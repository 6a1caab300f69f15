import { add, type Algorithm, largest, learner, tallies } from "./Algorithm.ts"

/** The textbook's is the root of 2, for rewards that fill [0, 1]; those of models do not, and this earns most on them. */
const width = 0.3

/** Upper bound of a mean of `n` rewards after `t` in all. */
export const upperBound = (sum: number, n: number, t: number, c: number): number =>
  n === 0 ? Number.POSITIVE_INFINITY : sum / n + c * Math.sqrt(Math.log(t) / n)

export const ucb1: Algorithm = {
  name: "ucb1",
  description:
    "the largest upper confidence bound, width 0.3; Auer, Cesa-Bianchi and Fischer, Machine Learning 47 (2002)",
  make: (world) => {
    const rewards = tallies(world)
    let t = 0
    return learner(
      ({ eligible }) => largest(eligible, (arm) => upperBound(rewards[arm]?.sum ?? 0, rewards[arm]?.n ?? 0, t, width)),
      (_, { arm, reward }) => {
        t += 1
        add(rewards[arm], reward)
      }
    )
  }
}
