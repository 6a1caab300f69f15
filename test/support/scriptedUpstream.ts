import { once } from "node:events"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"

export interface Asked {
  readonly model: string
  readonly body: any
  readonly headers: Http.IncomingHttpHeaders
}

/** Writes what one model answers. */
export type Answering = (response: Http.ServerResponse, asked: Asked) => void

export const refuses =
  (status: number, body: unknown, headers: Record<string, string> = {}): Answering =>
  (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers })
    response.end(typeof body === "string" ? body : JSON.stringify(body))
  }

export const error = (message: string, more: object = {}) => ({ error: { message, ...more } })

const usage = { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 }
const nothing = { prompt_tokens: 10, completion_tokens: 0, total_tokens: 10 }

/** `hello` (or what the message says instead) and usage, whole or streamed, as the request asks. */
export const answers =
  (
    more: object = {},
    message: { readonly content: string | null; readonly refusal?: string } = { content: "hello" }
  ): Answering =>
  (response, { body, model }) => {
    const head = { id: "chatcmpl-1", created: 1_760_000_000, model, ...more }
    if (body.stream !== true) {
      response.writeHead(200, { "content-type": "application/json" })
      const choices = [{ index: 0, message: { role: "assistant", ...message }, finish_reason: "stop" }]
      response.end(
        JSON.stringify({ ...head, object: "chat.completion", choices, usage: message.content === "" ? nothing : usage })
      )
      return
    }
    response.writeHead(200, { "content-type": "text/event-stream" })
    const chunk = (choices: ReadonlyArray<object>, last: object = {}) =>
      response.write(`data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", choices, ...last })}\n\n`)
    chunk([{ index: 0, delta: { role: "assistant", ...message }, finish_reason: null }])
    chunk([{ index: 0, delta: {}, finish_reason: "stop" }])
    if (body.stream_options?.include_usage === true) chunk([], { usage })
    response.end("data: [DONE]\n\n")
  }

/** An upstream whose models answer by script, and everything that it was asked. */
export const startScripted = async (scripts: Record<string, Answering>) => {
  const asked: Array<Asked> = []
  const server = Http.createServer((request, response) => {
    // Its models are not listed.
    if (request.method === "GET") return void response.writeHead(404).end()
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const body = JSON.parse(Buffer.concat(chunks).toString("utf8"))
      const one = { model: String(body.model), body, headers: request.headers }
      asked.push(one)
      ;(scripts[one.model] ?? answers())(response, one)
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    asked,
    scripts,
    callsOf: (model: string) => asked.filter((one) => one.model === model).length,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, "close")
    }
  }
}
export type ScriptedUpstream = Awaited<ReturnType<typeof startScripted>>
