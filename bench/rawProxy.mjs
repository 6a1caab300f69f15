// The rival of bench/gateway.ts: the least that a proxy for chat completions can do, node:http and undici and no logic.
// node bench/rawProxy.mjs http://127.0.0.1:9001
import { createServer } from "node:http"
import { Pool } from "undici"

const pool = new Pool(process.argv[2] ?? "http://127.0.0.1:9001", { connections: 1024, pipelining: 1 })
const server = createServer((request, response) => {
  const chunks = []
  request.on("data", (chunk) => chunks.push(chunk))
  request.on("end", () => {
    const headers = { "content-type": "application/json", accept: request.headers.accept ?? "*/*" }
    pool
      .stream({ method: "POST", path: request.url ?? "/", headers, body: Buffer.concat(chunks) }, (answer) => {
        response.writeHead(answer.statusCode, { "content-type": answer.headers["content-type"] })
        return response
      })
      .catch(() => response.destroy())
  })
})
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`${JSON.stringify({ message: "ready", url: `http://127.0.0.1:${server.address().port}` })}\n`)
})
