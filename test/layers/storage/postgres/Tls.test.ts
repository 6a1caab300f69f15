import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Fs from "node:fs"
import { type Certificates, makeCertificates } from "../../../support/certificates.ts"
import { databaseAt } from "../../../support/closing.ts"
import { has } from "../../../support/external.ts"
import { query, startPostgres, type TestPostgres } from "../../../support/postgres.ts"
import { eventually } from "../../../support/traffic.ts"

/** What a connection was like, or why there was none. */
const connectionOf = (
  server: Pick<TestPostgres, "url"> & { readonly asked?: string },
  parameters: string
): Effect.Effect<"TLS" | "plain" | string> =>
  Effect.gen(function* () {
    yield* Layer.build(Layer.fresh(databaseAt(`${server.url}?${parameters}`, { connectDeadlineMs: 0 })))
    const rows = yield* Effect.promise(() =>
      query<{ ssl: boolean }>(
        server.asked ?? server.url,
        "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name LIKE 'conduit-%'"
      )
    )
    return rows.map(({ ssl }) => (ssl ? "TLS" : "plain")).join(" and ")
  }).pipe(
    Effect.scoped,
    Effect.catchAll((error) => Effect.succeed(error.message))
  )

describe.skipIf(!has("openssl"))("sslmode", () => {
  let certificates: Certificates
  let misnamed: Certificates
  let plain: TestPostgres
  let secure: TestPostgres

  beforeAll(async () => {
    certificates = makeCertificates("IP:127.0.0.1")
    misnamed = makeCertificates("DNS:elsewhere")
    plain = await startPostgres()
    secure = await startPostgres("any", [
      "ssl=on",
      `ssl_cert_file=${certificates.certificate}`,
      `ssl_key_file=${certificates.key}`
    ])
  })
  afterAll(async () => {
    await secure.dispose()
    await plain.dispose()
    certificates.remove()
    misnamed.remove()
  })

  const table = (cases: Record<string, string | RegExp>, server: () => TestPostgres) =>
    Effect.gen(function* () {
      for (const [parameters, expected] of Object.entries(cases)) {
        const filled = parameters
          .replace("AUTHORITY", certificates.authority)
          .replace("STRANGER", certificates.stranger)
        const found = yield* connectionOf(server(), filled)
        if (typeof expected === "string") assert.strictEqual(found, expected, parameters)
        else assert.match(found, expected, parameters)
      }
    })

  it.live("is what libpq means by it, to a server with a certificate that nobody knows", () =>
    table(
      {
        "": "plain",
        "sslmode=disable": "plain",
        "sslmode=allow": "plain",
        "sslmode=prefer": "TLS",
        "sslmode=require": "TLS",
        "sslmode=no-verify": "TLS",
        "sslmode=require&sslrootcert=AUTHORITY": "TLS",
        "sslmode=require&sslrootcert=STRANGER": /certificate/,
        "sslmode=verify-ca": /needs sslrootcert or PGSSLROOTCERT/,
        "sslmode=verify-ca&sslrootcert=AUTHORITY": "TLS",
        "sslmode=verify-ca&sslrootcert=STRANGER": /certificate/,
        "sslmode=verify-full": /certificate/,
        "sslmode=verify-full&sslrootcert=AUTHORITY": "TLS",
        "sslmode=verify-full&sslrootcert=/no/such/file": /sslrootcert: ENOENT/
      },
      () => secure
    )
  )

  it.live("is what libpq means by it, to a server without TLS", () =>
    table(
      {
        "sslmode=disable": "plain",
        "sslmode=allow": "plain",
        "sslmode=prefer": "plain",
        "sslmode=require": /does not support SSL/,
        "sslmode=verify-full&sslrootcert=AUTHORITY": /does not support SSL/
      },
      () => plain
    )
  )

  it.live("looks at the server's name only where it is verify-full", () =>
    Effect.gen(function* () {
      const renamed = yield* Effect.promise(() =>
        startPostgres("any", ["ssl=on", `ssl_cert_file=${misnamed.certificate}`, `ssl_key_file=${misnamed.key}`])
      )
      const by = (mode: string) => connectionOf(renamed, `sslmode=${mode}&sslrootcert=${misnamed.authority}`)
      assert.strictEqual(yield* by("verify-ca"), "TLS")
      assert.match(yield* by("verify-full"), /IP: 127\.0\.0\.1 is not in the cert/)
      yield* Effect.promise(renamed.dispose)
    })
  )

  it.live("takes TLS by allow where the server demands it", () =>
    Effect.gen(function* () {
      const [row] = yield* Effect.promise(() => query<{ hba_file: string }>(secure.url, "SHOW hba_file"))
      Fs.writeFileSync(row!.hba_file, "hostssl all all all trust\n")
      const asked = `${secure.url}?sslmode=no-verify`
      yield* Effect.promise(() => query(asked, "SELECT pg_reload_conf()"))
      yield* Effect.promise(() =>
        eventually("connections without TLS are refused", 10_000, () =>
          query(secure.url, "SELECT 1").then(
            () => undefined,
            () => true
          )
        )
      )
      assert.strictEqual(yield* connectionOf({ url: secure.url, asked }, "sslmode=allow"), "TLS")
    })
  )
})
