import { query, startPostgres, type TestPostgres } from "./postgres.ts"
import { startTcpProxy, type TcpProxy } from "./tcpProxy.ts"
import { eventually } from "./traffic.ts"

/** A primary and a standby that streams from it, asynchronously. */
export interface Replicated {
  readonly primary: TestPostgres
  readonly standby: TestPostgres
  /** What the standby streams through. */
  readonly wire: TcpProxy
  readonly dispose: () => Promise<void>
}

const connections = "max_connections=200"

export const startReplicated = async (): Promise<Replicated> => {
  const primary = await startPostgres("any", [connections, "wal_keep_size=256"])
  await primary.stop()
  const wire = await startTcpProxy({ host: "127.0.0.1", port: primary.port })
  const source = `primary_conninfo=host=127.0.0.1 port=${wire.port} user=postgres application_name=standby`
  const standby = await startPostgres("any", [connections, source], primary)
  await primary.start()
  await eventually("the standby follows", 30_000, async () => {
    const [row] = await query<{ state: string }>(primary.url, "SELECT state FROM pg_stat_replication")
    return row?.state === "streaming" ? true : undefined
  })
  const dispose = async () => {
    await wire.close()
    await standby.dispose()
    await primary.dispose()
  }
  return { primary, standby, wire, dispose }
}

/** Sets a parameter of the server while it runs. */
export const configure = async ({ url }: TestPostgres, name: string, value: string): Promise<void> => {
  await query(url, `ALTER SYSTEM SET ${name} = '${value}'`)
  await query(url, "SELECT pg_reload_conf()")
  await eventually(`${name} is ${value}`, 10_000, async () => {
    const [row] = await query<{ value: string }>(url, "SELECT current_setting($1) AS value", [name])
    return row?.value === value ? true : undefined
  })
}
