import { checkRequiredLegs } from "./external.ts"
import { makeFreshFiles, startPostgres } from "./postgres.ts"

/** One PostgreSQL a run: `TEST_DATABASE_URL`, or an own one. */
export default async function setup(): Promise<() => Promise<void>> {
  checkRequiredLegs()
  const removeFiles = makeFreshFiles()
  const given = process.env["TEST_DATABASE_URL"]
  if (given !== undefined && given !== "") {
    process.env["CONDUIT_TEST_POSTGRES_URL"] = given
    return () => Promise.resolve(removeFiles())
  }
  const server = await startPostgres()
  process.env["CONDUIT_TEST_POSTGRES_URL"] = server.url
  return () => server.dispose().finally(removeFiles)
}
