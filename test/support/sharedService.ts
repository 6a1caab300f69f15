import { afterAll, beforeAll } from "@effect/vitest"
import { type ConduitOptions, type ConduitProcess, killAll, startConduit } from "./conduit.ts"
import { createDatabase, type TestDatabase } from "./postgres.ts"

interface Parts<Upstream> {
  readonly database: TestDatabase
  readonly upstream: Upstream
  readonly conduit: ConduitProcess
}

/** Stands for what is there from `beforeAll` on. */
const later = <A extends object>(get: () => A): A =>
  new Proxy<object>(
    {},
    {
      get: (_, key) => Reflect.get(get(), key),
      set: (_, key, value) => Reflect.set(get(), key, value)
    }
  ) as A

/** What all tests of one file share: an empty database, an upstream and one service over both. */
export const sharedService = <Upstream extends { readonly close: () => unknown }>(
  startUpstream: () => Promise<Upstream>,
  optionsFor: (upstream: Upstream) => Omit<ConduitOptions, "databaseUrl">
): Parts<Upstream> => {
  let parts: Parts<Upstream> | undefined
  const started = () => {
    if (parts === undefined) throw new Error("the service is there from beforeAll on")
    return parts
  }
  beforeAll(async () => {
    const database = await createDatabase()
    const upstream = await startUpstream()
    parts = { database, upstream, conduit: await startConduit({ databaseUrl: database.url, ...optionsFor(upstream) }) }
  })
  afterAll(async () => {
    await killAll()
    if (parts === undefined) return
    await parts.upstream.close()
    await parts.database.drop()
  })
  return {
    database: later(() => started().database),
    upstream: later<Upstream & object>(() => started().upstream),
    conduit: later(() => started().conduit)
  }
}
