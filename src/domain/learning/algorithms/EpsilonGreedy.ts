import { uniform } from "../../basics/Rng.ts"
import { add, type Algorithm, largest, learner, tallies } from "./Algorithm.ts"

const epsilon = 0.1

export const epsilonGreedy: Algorithm = {
  name: "epsilon-greedy",
  description: "the best mean, and any model for a tenth of the requests; Sutton and Barto, Reinforcement Learning",
  make: (world) => {
    const rewards = tallies(world)
    // A model that was never judged comes first, so that each gets a mean.
    const meanOf = (arm: number) => {
      const { n, sum } = rewards[arm] ?? { n: 0, sum: 0 }
      return n === 0 ? 1 : sum / n
    }
    return learner(
      ({ eligible, key }) => {
        const point = uniform(`${world.seed}|${key}|any`)
        return point < epsilon
          ? (eligible[Math.floor((point / epsilon) * eligible.length)] ?? 0)
          : largest(eligible, meanOf)
      },
      (_, { arm, reward }) => add(rewards[arm], reward)
    )
  }
}
