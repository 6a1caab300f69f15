import type { ConduitProcess } from "./conduit.ts"

const ofShutdown = [
  "Starting graceful shutdown sequence",
  "Phase 1/3: Draining",
  "All \\d+ requests drained in",
  "Timeout waiting for requests",
  "Second signal:",
  "Phase 2/3: Persisting",
  "Bandit state persisted",
  "Failed to persist router state",
  "Phase 3/3: Closing",
  "PostgreSQL connection pool closed",
  "Pool close timed out",
  "Graceful shutdown completed in",
  "Shutdown completed with"
]
const isOfShutdown = new RegExp(`^(?:${ofShutdown.join("|")})`)

/** Every message of a shutdown that was printed, in order: what is not here was not said. Times are X.X, errors <error>. */
export const shutdownLines = ({ lines }: Pick<ConduitProcess, "lines">): ReadonlyArray<string> =>
  lines.flatMap(({ level, message }) =>
    isOfShutdown.test(String(message))
      ? [
          `${String(level)} ${String(message)}`
            .replace(/ in \d+\.\ds$/, " in X.Xs")
            .replace(/(router state: \w+: \w+) .*$/, "$1 <error>")
        ]
      : []
  )
