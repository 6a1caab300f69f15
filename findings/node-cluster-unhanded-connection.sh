#!/usr/bin/env bash
# A connection that node:cluster is handing to a worker when that worker is killed stays open for ever.
#
# Versions: Node.js 20.20.2; node:cluster with its default schedule, round robin (everywhere but on Windows).
# Behaviour: the primary accepts each connection and sends it to a worker, which confirms; only then does the primary close
#   its own copy. A worker whose event loop is busy confirms late. If it is killed before, the primary goes on, a new worker
#   serves new connections, and the one on its way is neither handed to another worker nor closed: its client waits, with
#   no error and no end, for as long as the primary lives. With cluster.SCHED_NONE, where workers accept from the shared
#   socket themselves, the connection is still the system's: another worker takes it, or, as here where the last one is
#   killed, it is reset and the client knows.
# Seen on 2026-12-01:
#   round robin: open after 5 s, without an answer
#   shared socket: ECONNRESET
# Needs node. Exits 1 when it no longer holds.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat >service.mjs <<'JS'
import cluster from "node:cluster"
import { once } from "node:events"
import http from "node:http"
import net from "node:net"
import { setTimeout as sleep } from "node:timers/promises"

const busyUntil = (end) => {
  while (Date.now() < end);
}

if (cluster.isPrimary) {
  const [, , schedule] = process.argv
  cluster.schedulingPolicy = schedule === "round robin" ? cluster.SCHED_RR : cluster.SCHED_NONE
  const first = cluster.fork()
  const [, { port }] = await once(cluster, "listening")
  // From now on it is busy for half a minute, as with a long computation.
  await fetch(`http://127.0.0.1:${port}/busy`).then((answer) => answer.text())
  await sleep(500)
  const client = net.connect(port, "127.0.0.1")
  client.write("GET / HTTP/1.0\r\n\r\n")
  const answer = once(client, "data").then(
    () => "answered",
    (error) => error.code
  )
  await sleep(500)
  first.process.kill("SIGKILL")
  cluster.fork({ PORT: port })
  await once(cluster, "listening")
  const seen = await Promise.race([answer, sleep(5000).then(() => "open after 5 s, without an answer")])
  console.log(`${schedule}: ${seen}`)
  for (const worker of Object.values(cluster.workers)) worker.process.kill("SIGKILL")
  process.exit()
} else {
  const server = http.createServer((request, response) => {
    response.end("here")
    if (request.url === "/busy") setTimeout(() => busyUntil(Date.now() + 30_000), 100)
  })
  server.listen(Number(process.env.PORT ?? 0), "127.0.0.1")
}
JS

{
  node service.mjs "round robin"
  node service.mjs "shared socket"
} | tee seen

grep -qx "round robin: open after 5 s, without an answer" seen
grep -qx "shared socket: ECONNRESET" seen
