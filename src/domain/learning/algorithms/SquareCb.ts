import { uniform } from "../../basics/Rng.ts"
import { type Algorithm, drawn, learner } from "./Algorithm.ts"
import { learnFrom, predictAt, regressions } from "./LinearRegression.ts"

const ridge = 1
/** Grows with the root of the number of requests. */
const exploitation = 10

/** Each but the best is drawn with 1 / (K + gamma gap), the best with the rest. */
export const inverseGapShares = (means: ReadonlyArray<number>, gamma: number): ReadonlyArray<number> => {
  const highest = Math.max(...means)
  const best = means.indexOf(highest)
  const shares = means.map((mean, i) => (i === best ? 0 : 1 / (means.length + gamma * (highest - mean))))
  const others = shares.reduce((sum, share) => sum + share, 0)
  return shares.map((share, i) => (i === best ? 1 - others : share))
}

export const squareCb: Algorithm = {
  name: "squarecb",
  description:
    "inverse-gap weighting over a ridge regression, gamma 10 times the root of t; Foster and Rakhlin, ICML 2020",
  make: (world) => {
    const arms = regressions(world)
    let t = 0
    return learner(
      ({ eligible, features, key }) => {
        t += 1
        const x = Float64Array.from(features)
        const means = eligible.map((arm) => {
          const one = arms[arm]
          return one === undefined ? 0 : predictAt(one, ridge, x).mean
        })
        return drawn(
          eligible,
          inverseGapShares(means, exploitation * Math.sqrt(t)),
          uniform(`${world.seed}|${key}|gap`)
        )
      },
      ({ features }, { arm, reward }) => learnFrom(arms[arm], Float64Array.from(features), reward)
    )
  }
}
