import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Pg from "pg"
import {
  type BudgetStoreShape,
  type BudgetSubject,
  type Lent,
  type Spending,
  subjectName
} from "../../../../services/storage/BudgetStore.ts"
import { DatabaseError } from "../../../../services/storage/Database.ts"
import { guarded, readCommitted, transactAfter } from "./Transaction.ts"

/**
 * One of those who borrow of a budget at a time, and not while rows of this replica pay: the statement after these sees what
 * the ones before have borrowed and paid.
 */
const locks = (name: string, replica: string) => [
  `SELECT pg_advisory_xact_lock(hashtextextended(${Pg.escapeLiteral(`conduit ${name}`)}, 0))`,
  `SELECT FROM budget_loans WHERE subject = ${Pg.escapeLiteral(name)} AND replica = ${Pg.escapeLiteral(replica)} FOR UPDATE`
]

/** Day and month of now, UTC. */
const today = (sql: SqlClient.SqlClient) =>
  sql`SELECT (now() AT TIME ZONE 'UTC')::date AS day, date_trunc('month', now() AT TIME ZONE 'UTC')::date AS month`

/** When those of `today` end. */
const ends = (sql: SqlClient.SqlClient) =>
  sql`(extract(epoch FROM (today.day + 1)::timestamp AT TIME ZONE 'UTC') * 1000)::float8 AS "dayEndsAtMillis",
    (extract(epoch FROM (today.month + interval '1 month') AT TIME ZONE 'UTC') * 1000)::float8 AS "monthEndsAtMillis"`

const rowOf = (subject: BudgetSubject, place: number) => ({
  place,
  name: subjectName(subject),
  owners: subject.type === "key" ? subject.owners : null,
  routerId: subject.type === "router" ? subject.routerId : null
})

export const makeBudgets = (sql: SqlClient.SqlClient): BudgetStoreShape => ({
  borrow: Effect.fn("BudgetStore.borrow")(function* (asked) {
    const name = subjectName(asked.subject)
    const whose =
      asked.subject.type === "key"
        ? sql`s.owner = ANY(${asked.subject.owners}::text[])`
        : sql`s.router_key = (SELECT key FROM routers WHERE id = ${asked.subject.routerId})`
    return yield* transactAfter(sql, { begin: readCommitted, first: locks(name, asked.replica) }, () =>
      Effect.gen(function* () {
        const [lent] = yield* sql<Lent>`
          WITH today AS (${today(sql)}),
          gone AS (DELETE FROM budget_loans WHERE subject = ${name} AND replica <> ${asked.replica} AND ends_at <= now() - interval '1 day'),
          others AS (SELECT coalesce(sum(usd), 0) AS usd FROM budget_loans
            WHERE subject = ${name} AND replica <> ${asked.replica} AND ends_at > now()),
          spent AS (SELECT coalesce(sum(s.usd) FILTER (WHERE s.day = today.day), 0) AS day, coalesce(sum(s.usd), 0) AS month
            FROM today LEFT JOIN budget_spent s ON ${whose} AND s.day >= today.month AND s.day <= today.day),
          mine AS (SELECT coalesce((SELECT paid FROM budget_loans
            WHERE subject = ${name} AND replica = ${asked.replica} AND NOT ${asked.isNew}::boolean), 0) AS paid),
          claim AS (SELECT greatest(0, ${asked.claimedUsd}::float8::numeric - mine.paid) AS usd FROM mine),
          loan AS (SELECT greatest(claim.usd, least(claim.usd + ${asked.wantedUsd}::float8::numeric,
              ${asked.usdPerDay}::float8::numeric - spent.day - others.usd,
              ${asked.usdPerMonth}::float8::numeric - spent.month - others.usd)) AS usd
            FROM spent, others, claim),
          kept AS (INSERT INTO budget_loans (subject, replica, usd, paid, ends_at)
            SELECT ${name}, ${asked.replica}, loan.usd, mine.paid, now() + make_interval(secs => ${asked.seconds}) FROM loan, mine
            ON CONFLICT (subject, replica) DO UPDATE SET usd = excluded.usd, paid = excluded.paid, ends_at = excluded.ends_at)
          SELECT loan.usd::float8 AS "grantedUsd", mine.paid::float8 AS "paidUsd", spent.day::float8 AS "spentDayUsd", spent.month::float8 AS "spentMonthUsd",
            (others.usd + loan.usd)::float8 AS "lentUsd", ${ends(sql)}
          FROM today, spent, others, loan, mine`
        if (lent !== undefined) return lent
        return yield* new DatabaseError({ operation: "borrow", reason: "unexpected", detail: "no row was answered" })
      })
    )
  }, guarded("borrow")),

  spendings: Effect.fn("BudgetStore.spendings")(
    (subjects) => sql<Spending>`
      WITH today AS (${today(sql)}),
      asked AS (SELECT * FROM json_to_recordset(${JSON.stringify(subjects.map(rowOf))}::json)
        AS x(place int, name text, owners text[], "routerId" text)),
      spent AS (
        SELECT a.place, s.day, s.usd FROM asked a JOIN budget_spent s ON s.owner = ANY(a.owners)
        UNION ALL SELECT a.place, s.day, s.usd FROM asked a JOIN routers r ON r.id = a."routerId" JOIN budget_spent s ON s.router_key = r.key),
      sums AS (
        SELECT place, sum(usd) FILTER (WHERE spent.day = today.day) AS day, sum(usd) AS month FROM spent, today
        WHERE spent.day >= today.month AND spent.day <= today.day GROUP BY place),
      lent AS (
        SELECT a.place, sum(b.usd) AS usd FROM asked a JOIN budget_loans b ON b.subject = a.name WHERE b.ends_at > now() GROUP BY a.place)
      SELECT coalesce(s.day, 0)::float8 AS "spentDayUsd", coalesce(s.month, 0)::float8 AS "spentMonthUsd",
        coalesce(l.usd, 0)::float8 AS "lentUsd", ${ends(sql)}
      FROM today, asked a LEFT JOIN sums s USING (place) LEFT JOIN lent l USING (place) ORDER BY place`,
    guarded("spendings")
  ),

  giveBack: Effect.fn("BudgetStore.giveBack")(
    (replica, claims) =>
      Effect.asVoid(
        sql`UPDATE budget_loans b SET usd = least(b.usd, greatest(0, x."claimedUsd" - b.paid))
            FROM json_to_recordset(${JSON.stringify(claims)}::json) AS x(subject text, "claimedUsd" numeric)
            WHERE b.replica = ${replica} AND b.subject = x.subject`
      ),
    guarded("giveBack")
  )
})
