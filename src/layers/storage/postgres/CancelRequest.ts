import * as net from "node:net"
import type * as Pg from "pg"

/** The session of a connection, as the server told it at its start. */
export interface Session {
  readonly host: string
  readonly port: number
  readonly processId: number
  readonly secret: number
}

/** A statement has no longer either. */
const limitMillis = 5_500
/** PostgreSQL's manual, 55.7: CancelRequest. */
const cancelCode = 80_877_102

/** Null where the server has told nothing, as PGlite's does. */
export const sessionOf = (client: Pg.PoolClient): Session | null => {
  const [host, port, processId, secret] = ["host", "port", "processID", "secretKey"].map((name): unknown =>
    Reflect.get(client, name)
  )
  return typeof host === "string" &&
    typeof port === "number" &&
    typeof processId === "number" &&
    typeof secret === "number"
    ? { host, port, processId, secret }
    : null
}

/**
 * Asks the server to end what the session does now, over a connection of its own, which a pooler passes on. `done` is called
 * when the server has heard it, or at the limit. It may come too late: whatever the session does then is ended, so nobody
 * else may use it any more.
 */
export const requestCancel = ({ host, port, processId, secret }: Session, done: () => void): void => {
  const message = Buffer.alloc(16)
  for (const [index, value] of [message.length, cancelCode, processId, secret].entries()) {
    message.writeInt32BE(value, 4 * index)
  }
  const socket = host.startsWith("/") ? net.connect(`${host}/.s.PGSQL.${port}`) : net.connect(port, host)
  socket.on("error", () => undefined)
  // The server closes it.
  socket.once("close", done)
  socket.setTimeout(limitMillis, () => socket.destroy())
  socket.unref()
  socket.write(message)
}
