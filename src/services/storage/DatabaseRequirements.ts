/** What Conduit needs of a PostgreSQL, and what to do where it is missing. */
interface UnmetRequirement {
  readonly problem: string
  readonly remedy: string
}

/** Null if the server will do. Its start refuses what the checklist refuses. */
export const unmetRequirement = (server: {
  readonly version: string
  /** `server_version_num`. */
  readonly number: number
  /** `server_encoding`, of this database. */
  readonly encoding: string
}): UnmetRequirement | null => {
  if (server.number < 130_000) {
    return { problem: `it is PostgreSQL ${server.version}`, remedy: "use PostgreSQL 13 or newer" }
  }
  if (server.encoding !== "UTF8") {
    return {
      problem: `the encoding of this database is ${server.encoding}, which cannot hold every text`,
      remedy: "CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0, and set DATABASE_URL to that"
    }
  }
  return null
}
