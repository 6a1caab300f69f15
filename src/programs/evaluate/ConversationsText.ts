import { type ConversationReport, ruleDescriptions } from "../../domain/learning/evaluation/Conversations.ts"
import type { Estimate } from "../../domain/learning/evaluation/Summary.ts"
import { columns } from "../tools/Columns.ts"

const scaled = ({ high, low, mean }: Estimate, times: number, digits: number): string =>
  `${(times * mean).toFixed(digits)} ± ${((times * (high - low)) / 2).toFixed(digits)}`

const head = ["chosen", "utility x 1000", "USD a 1000 turns", "quality x 1000", "switches a turn", "equal", "worst"]

/** For people. */
export const conversationsText = (found: ReadonlyArray<ConversationReport>): string =>
  [
    ...found.map(({ priceOfMoney, rules }) => {
      const rows = rules.map(({ billAtEqualQuality, quality, rule, switches, usd, utility, worstShareOfStaying }) => [
        ruleDescriptions[rule],
        scaled(utility, 1000, 1),
        scaled(usd, 1000, 2),
        scaled(quality, 1000, 1),
        switches.mean.toFixed(3),
        billAtEqualQuality === null ? "" : `${billAtEqualQuality.mean.toFixed(1)} %`,
        `${(100 * worstShareOfStaying).toFixed(0)} %`
      ])
      return `a USD a turn is worth ${priceOfMoney} points of quality\n${columns([head, ...rows])}`
    }),
    '"equal" is the bill of choosing by the conversation for at least the same quality against this one; "worst" the dearest conversation against one that stayed with its first model. Intervals are 95 % over the orders.'
  ].join("\n\n")
