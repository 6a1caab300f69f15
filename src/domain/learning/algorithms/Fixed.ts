import { type Algorithm, learner } from "./Algorithm.ts"

export const fixed: Algorithm = {
  name: "fixed",
  description: "always the same model: the first one, or the one that --fixed names",
  make: ({ fixed }) => learner(({ eligible }) => (eligible.includes(fixed) ? fixed : (eligible[0] ?? 0)))
}
