import { type Algorithm, largest, learner } from "./Algorithm.ts"

export const oracle: Algorithm = {
  name: "oracle",
  description: "the best model of each request, known before: a bound that nothing can reach",
  seesEverything: true,
  make: () => learner(({ eligible, rewards }) => largest(eligible, (arm) => rewards?.[arm] ?? 0))
}
