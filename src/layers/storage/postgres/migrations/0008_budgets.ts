import * as Effect from "effect/Effect"
import * as SqlClient from "@effect/sql/SqlClient"

/**
 * What is spent, by day (UTC): written with the decisions that cost it, so it is their sum. An empty `owner` is none. Loans are
 * what replicas may spend beyond, and `paid` what rows have paid of their claims; one that crashed gives its own back by their end.
 */
export const budgets = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`
    CREATE TABLE budget_spent (
      router_key integer NOT NULL,
      owner text NOT NULL,
      day date NOT NULL,
      usd numeric NOT NULL,
      PRIMARY KEY (router_key, owner, day)
    )`
  yield* sql`CREATE INDEX budget_spent_owner ON budget_spent (owner, day)`
  yield* sql`
    CREATE TABLE budget_loans (
      subject text NOT NULL,
      replica text NOT NULL,
      usd numeric NOT NULL,
      paid numeric NOT NULL,
      ends_at timestamptz NOT NULL,
      PRIMARY KEY (subject, replica)
    )`
})
