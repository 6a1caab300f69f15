import { uniform } from "../../basics/Rng.ts"
import { type Algorithm, learner } from "./Algorithm.ts"

export const random: Algorithm = {
  name: "random",
  description: "any model, with equal chances",
  make: ({ seed }) =>
    learner(({ eligible, key }) => eligible[Math.floor(uniform(`${seed}|${key}|random`) * eligible.length)] ?? 0)
}
