import { afterAll, afterEach, beforeAll } from "@effect/vitest"
import { killAll } from "./conduit.ts"
import { createDatabase, type TestDatabase } from "./postgres.ts"
import { startUpstream, type Upstream } from "./processMock.ts"

/** What the processes of one file of tests share: an empty database and an upstream. After each test none of them lives. */
export const serviceFixture = (): { readonly database: TestDatabase; readonly mock: Upstream } => {
  let parts: { readonly database: TestDatabase; readonly mock: Upstream } | undefined
  const started = () => {
    if (parts === undefined) throw new Error("the fixture is there from beforeAll on")
    return parts
  }
  beforeAll(async () => {
    parts = { database: await createDatabase(), mock: await startUpstream() }
  })
  afterEach(killAll)
  afterAll(async () => {
    await started().mock.close()
    await started().database.drop()
  })
  return {
    get database() {
      return started().database
    },
    get mock() {
      return started().mock
    }
  }
}
