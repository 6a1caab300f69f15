import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { type Case, cases, type Got } from "../clients/cases.ts"
import { clients } from "../clients/clients.ts"
import { describeError, jsClients } from "../clients/javascript.ts"
import { type ClientService, startClientService } from "../clients/service.ts"
import { createDatabase, type TestDatabase } from "../support/postgres.ts"

// The clients in JavaScript against the built service; those in other languages are run by `npm run test:clients`.

let database: TestDatabase
let service: ClientService

const ours = clients.filter(({ language }) => language === "JavaScript")

beforeAll(async () => {
  database = await createDatabase()
  service = await startClientService(
    ours.map(({ id }) => id),
    { databaseUrl: database.url }
  )
})
afterAll(async () => {
  await service.close()
  await database.drop()
})

const run = (one: Case, id: string): Promise<Got> =>
  jsClients[id]!(`${service.url}/v1`, service.callOf(one, id)).catch((error: unknown) => ({
    error: describeError(error)
  }))

const check = async (one: Case, { flaws, id }: (typeof ours)[number]) => {
  const problem = one.problem(await run(one, id))
  const flaw = flaws[one.name]
  if (flaw === undefined) assert.isNull(problem)
  else assert.match(problem ?? "none", flaw.problem)
}

describe.each(ours)("$title, unchanged", (client) => {
  it.each(cases.filter(({ isSlow }) => isSlow !== true))("is right about $name", (one) => check(one, client))
})

describe("all of them", () => {
  it.concurrent.each(cases.filter(({ isSlow }) => isSlow === true))("stream through $name", async (one) => {
    await Promise.all(ours.map((client) => check(one, client)))
  })
})
