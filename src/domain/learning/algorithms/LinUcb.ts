import { type Algorithm, largest, learner } from "./Algorithm.ts"
import { learnFrom, predictAt, regressions } from "./LinearRegression.ts"

const ridge = 1
/** The paper's is above 1; rewards of models have a quarter of that noise. */
const alpha = 0.25

export const linUcb: Algorithm = {
  name: "linucb",
  description: "LinUCB with disjoint models, alpha 0.25; Li, Chu, Langford and Schapire, WWW 2010",
  make: (world) => {
    const arms = regressions(world)
    return learner(
      ({ eligible, features }) => {
        const x = Float64Array.from(features)
        return largest(eligible, (arm) => {
          const one = arms[arm]
          if (one === undefined) return 0
          const { leverage, mean } = predictAt(one, ridge, x)
          return mean + alpha * Math.sqrt(leverage)
        })
      },
      ({ features }, { arm, reward }) => learnFrom(arms[arm], Float64Array.from(features), reward)
    )
  }
}
