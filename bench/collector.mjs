// An OTLP collector that reads and forgets.
import { createServer } from "node:http"

const server = createServer((request, response) => {
  request.resume()
  request.on("end", () => response.end())
})
server.listen(0, "127.0.0.1", () => {
  console.log(JSON.stringify({ message: "ready", url: `http://127.0.0.1:${server.address().port}` }))
})
process.on("SIGTERM", () => process.exit(0))
