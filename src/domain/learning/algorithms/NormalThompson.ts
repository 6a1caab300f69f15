import { neutral } from "../../routing/Reference.ts"
import { add, type Algorithm, largest, learner, tallies } from "./Algorithm.ts"
import { student } from "./Draws.ts"

/** Prior of the mean, worth one answer; of the variance 0.3², worth four. */
const prior = { mean: neutral, weight: 1, freedom: 4, variance: 0.09 }

/** Mean, deviation and degrees of freedom of the posterior of a mean under a normal-inverse-gamma prior. */
export const posterior = ({
  n,
  squares,
  sum
}: {
  readonly n: number
  readonly sum: number
  readonly squares: number
}) => {
  const weight = prior.weight + n
  const mean = (prior.weight * prior.mean + sum) / weight
  const freedom = prior.freedom + n
  const scatter = prior.freedom * prior.variance + squares + prior.weight * prior.mean ** 2 - weight * mean * mean
  return { mean, freedom, deviation: Math.sqrt(Math.max(1e-12, scatter) / freedom / weight) }
}

export const normalThompson: Algorithm = {
  name: "normal-thompson",
  description: "Thompson sampling with a normal-inverse-gamma prior for each model; Honda and Takemura, AISTATS 2014",
  make: (world) => {
    const rewards = tallies(world)
    return learner(
      ({ eligible, key }) =>
        largest(eligible, (arm) => {
          const { deviation, freedom, mean } = posterior(rewards[arm] ?? { n: 0, sum: 0, squares: 0 })
          return mean + deviation * student(freedom, `${world.seed}|${key}|${arm}`)
        }),
      (_, { arm, reward }) => add(rewards[arm], reward)
    )
  }
}
