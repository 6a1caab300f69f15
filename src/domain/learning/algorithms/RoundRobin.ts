import { type Algorithm, learner } from "./Algorithm.ts"

export const roundRobin: Algorithm = {
  name: "round-robin",
  description: "one model after the other",
  make: () => {
    let turn = 0
    return learner(({ eligible }) => eligible[turn++ % eligible.length] ?? 0)
  }
}
