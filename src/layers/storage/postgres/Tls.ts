import * as Either from "effect/Either"
import * as fs from "node:fs"
import type { ConnectionOptions } from "node:tls"
import { isLoopback } from "../../../domain/basics/Loopback.ts"
import type { PostgresHost, PostgresUrl } from "../../../domain/basics/PostgresUrl.ts"

/** Null is no TLS. */
export type Tls = ConnectionOptions | null

/** What a connection to that server tries, in order, by `sslmode` as libpq has it. A socket of this machine has no TLS. */
export type TlsOf = (host: PostgresHost) => ReadonlyArray<Tls>

const file = (parameter: string, path: string | null): Either.Either<string | undefined, string> =>
  path === null
    ? Either.right(undefined)
    : Either.try({
        try: () => fs.readFileSync(path, "utf8"),
        catch: (error) => `${parameter}: ${error instanceof Error ? error.message : String(error)}`
      })

/** Or why it cannot be: https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-SSLMODE-STATEMENTS */
export const tlsOf = ({ sslCert, sslKey, sslMode, sslRootCert }: PostgresUrl): Either.Either<TlsOf, string> =>
  Either.gen(function* () {
    const isSystem = sslRootCert === "system"
    const ca = yield* file("sslrootcert", isSystem ? null : sslRootCert)
    const own = { cert: yield* file("sslcert", sslCert), key: yield* file("sslkey", sslKey) }
    if (sslMode === "verify-ca" && ca === undefined) {
      return yield* Either.left(
        "sslmode=verify-ca needs sslrootcert or PGSSLROOTCERT, as anybody has a certificate of a public authority: name yours, or use verify-full"
      )
    }
    const unverified = { ...own, rejectUnauthorized: false }
    const byAuthority = { ...own, ca, checkServerIdentity: () => undefined }
    const whole = { ...own, ca }
    const byMode = {
      disable: [null],
      allow: [null, unverified],
      prefer: [unverified, null],
      "no-verify": [unverified],
      // With an authority it is as strict as verify-ca, as it always was.
      require: [isSystem ? whole : ca === undefined ? unverified : byAuthority],
      "verify-ca": [byAuthority],
      "verify-full": [whole]
    }
    return ({ name }) =>
      name === "" || name.startsWith("/") ? [null] : byMode[sslMode ?? (isLoopback(name) ? "disable" : "prefer")]
  })
