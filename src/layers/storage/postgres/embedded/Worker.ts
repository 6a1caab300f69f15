import { createRequire } from "node:module"
import * as Worker from "node:worker_threads"

/** Connections that the socket takes: the pools of a start and of an end, and whoever looks in. */
const maxConnections = 16

// Text, because a worker must start from sources, from the build and from a bundle alike. A worker thread hears no
// signals, so the database goes on until it is told to stop.
const source = `
const { parentPort, workerData } = require("node:worker_threads")
const { PGlite } = require(workerData.pglite)
const { PGLiteSocketServer } = require(workerData.socket)
const start = async () => {
  const db = await PGlite.create({ dataDir: workerData.directory })
  const server = new PGLiteSocketServer({ db, host: "127.0.0.1", port: 0, maxConnections: workerData.maxConnections })
  await server.start()
  parentPort.on("message", async () => {
    await server.stop()
    await db.close()
    process.exit(0)
  })
  parentPort.postMessage({ address: server.getServerConn() })
}
start().catch((error) => {
  parentPort.postMessage({ failure: String(error && error.message || error) })
  process.exit(1)
})
`

/** A thread that serves the PostgreSQL in `directory` and tells its address, or why it could not, in its first message. */
export const startWorker = (directory: string): Worker.Worker => {
  const { resolve } = createRequire(import.meta.url)
  return new Worker.Worker(source, {
    eval: true,
    workerData: {
      directory,
      maxConnections,
      pglite: resolve("@electric-sql/pglite"),
      socket: resolve("@electric-sql/pglite-socket")
    }
  })
}
