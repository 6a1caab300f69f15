import * as Effect from "effect/Effect"
import type { BudgetList } from "../../services/api/BudgetSchemas.ts"
import type { KeysShape } from "../../services/api/Keys.ts"
import type { BudgetState, MeteringShape } from "../../services/routing/Metering.ts"
import type { Handler } from "./Handler.ts"
import { json } from "./Reply.ts"

/** The budgets that the asking key may see. */
export const make =
  (keys: Pick<KeysShape, "named">, metering: Pick<MeteringShape, "budgets">): Handler =>
  ({ caller, key }) => {
    const seesAll = key === null || caller.readsAll === true
    return Effect.map(metering.budgets(seesAll ? keys.named() : [key], seesAll), (found) => {
      const shown: BudgetList = { object: "list", data: found.map(entryOf) }
      return json(shown)
    })
  }

const entryOf = (of: BudgetState): BudgetList["data"][number] => ({
  subject: of.subject,
  name: of.name,
  day: periodOf(of, of.usdPerDay, of.spentDayUsd, of.dayEndsAtMillis),
  month: periodOf(of, of.usdPerMonth, of.spentMonthUsd, of.monthEndsAtMillis),
  reserved_usd: of.lentUsd,
  paced: of.paced,
  pacing:
    of.charge === null
      ? null
      : {
          usd_per_request: of.charge.budgetUsd,
          score_per_usd: of.charge.multiplier / of.charge.budgetUsd,
          score_per_request: of.charge.multiplier
        }
})

const periodOf = ({ lentUsd }: BudgetState, limitUsd: number | null, spentUsd: number, endsAtMillis: number) =>
  limitUsd === null
    ? null
    : {
        limit_usd: limitUsd,
        spent_usd: spentUsd,
        left_usd: Math.max(0, limitUsd - spentUsd - lentUsd),
        resets_at: new Date(endsAtMillis).toISOString()
      }
