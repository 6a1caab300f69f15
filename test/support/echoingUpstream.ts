import { once } from "node:events"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"

export interface EchoingUpstream {
  readonly url: string
  /** Of model `hang`: how many calls wait. */
  readonly hanging: () => number
  readonly close: () => Promise<void>
}

/** A provider that quotes prompt and key back in every way that it answers or fails; how, its models' names say. */
export const startEchoingUpstream = async (answerText: string): Promise<EchoingUpstream> => {
  let hanging = 0
  const server = Http.createServer((request, response) => {
    // Its models are not listed.
    if (request.method === "GET") return void response.writeHead(404).end()
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString("utf8")
      const body = JSON.parse(text)
      const quoted = `${request.headers.authorization} sent ${text}`
      const error = { error: { message: quoted, type: quoted, code: quoted, param: quoted } }
      const json = (status: number, value: unknown) =>
        response
          .writeHead(status, { "content-type": "application/json", "x-quoted": answerText })
          .end(JSON.stringify(value))
      const message = { role: "assistant", content: `${answerText} ${text}`, tool_calls: [] }
      const usage = { prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 }
      const events = (...all: ReadonlyArray<unknown>) => {
        response.writeHead(200, { "content-type": "text/event-stream" })
        for (const one of all) response.write(`data: ${typeof one === "string" ? one : JSON.stringify(one)}\n\n`)
      }
      const chunk = {
        id: answerText,
        object: "chat.completion.chunk",
        choices: [{ index: 0, delta: { content: answerText } }]
      }
      const status = /^status-(\d+)$/.exec(String(body.model))?.[1]
      if (status !== undefined) return json(Number(status), error)
      switch (body.model) {
        case "hang":
          hanging++
          response.on("close", () => hanging--)
          return
        case "html":
          return response.writeHead(502, { "content-type": "text/html" }).end(`<h1>${quoted}</h1>`)
        case "no-json":
          return response.writeHead(200, { "content-type": "application/json" }).end(`${quoted} {`)
        case "embedded":
          return body.stream === true ? events(chunk, error) : json(200, error)
        case "cut":
          if (body.stream === true) events(chunk)
          else response.writeHead(200, { "content-type": "application/json", "content-length": 1e6 }).write(quoted)
          return response.socket?.destroySoon()
        case "bad-header":
          request.socket.end(`HTTP/1.1 200 OK\r\nx-quoted\u0000: ${quoted.replace(/[\r\n]/g, "")}\r\n\r\n`)
          return
      }
      if (body.stream !== true)
        return json(200, { id: answerText, choices: [{ index: 0, message, finish_reason: "stop" }], usage })
      events(chunk, { ...chunk, choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }, "[DONE]")
      return response.end()
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    hanging: () => hanging,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, "close")
    }
  }
}
