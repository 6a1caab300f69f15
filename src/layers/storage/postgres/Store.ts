import type * as SqlClient from "@effect/sql/SqlClient"
import type { DatabaseShape } from "../../../services/storage/Database.ts"
import { makeDecisions } from "./store/Decisions.ts"
import { makeFeedback } from "./store/Feedback.ts"
import { makeBudgets } from "./store/Budgets.ts"
import { makeKeys } from "./store/Keys.ts"
import { makeLog } from "./store/Log.ts"
import { makeRouters } from "./store/Routers.ts"
import { makeSnapshots } from "./store/Snapshots.ts"

/** What is stored, over a client whose statements have their limits. */
export const makeStore = (sql: SqlClient.SqlClient): Omit<DatabaseShape, "changes"> => ({
  ...makeRouters(sql),
  ...makeLog(sql),
  ...makeDecisions(sql),
  ...makeFeedback(sql),
  ...makeSnapshots(sql),
  keys: makeKeys(sql),
  budgets: makeBudgets(sql)
})
