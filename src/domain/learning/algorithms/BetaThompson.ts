import { add, type Algorithm, largest, learner, tallies } from "./Algorithm.ts"
import { beta } from "./Draws.ts"

/** Rewards between 0 and 1 count as so much of a success; prior Beta(1, 1). */
export const betaThompson: Algorithm = {
  name: "beta-thompson",
  description: "Thompson sampling of a beta distribution for each model; Chapelle and Li, NIPS 2011",
  make: (world) => {
    const rewards = tallies(world)
    return learner(
      ({ eligible, key }) =>
        largest(eligible, (arm) => {
          const { n, sum } = rewards[arm] ?? { n: 0, sum: 0 }
          return beta(1 + sum, 1 + n - sum, `${world.seed}|${key}|${arm}`)
        }),
      (_, { arm, reward }) => add(rewards[arm], reward)
    )
  }
}
