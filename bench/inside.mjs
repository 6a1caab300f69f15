// Loaded into a service (`node --import`): how long it takes itself from the head of a POST to its answer, by status. A line
// of JSON for each SIGUSR2, about the answers since the last one.
import Http from "node:http"

let took = new Map()

const emit = Http.Server.prototype.emit
Http.Server.prototype.emit = function (name, request, response) {
  if (name === "request" && request.method === "POST") {
    const startedAt = performance.now()
    const end = response.end
    response.end = function (...args) {
      const of = took.get(response.statusCode) ?? []
      took.set(response.statusCode, of)
      of.push(performance.now() - startedAt)
      return end.apply(this, args)
    }
  }
  return emit.apply(this, arguments)
}

process.on("SIGUSR2", () => {
  const answers = Array.from(took, ([status, millis]) => {
    millis.sort((a, b) => a - b)
    return { status, p50: millis[Math.floor(millis.length * 0.5)], p99: millis[Math.floor(millis.length * 0.99)] }
  })
  took = new Map()
  console.log(JSON.stringify({ message: "answered", answers }))
})
