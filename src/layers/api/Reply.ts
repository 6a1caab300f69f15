import { createHash } from "node:crypto"
import * as Http from "node:http"
import type { Duplex } from "node:stream"
import { gzipSync } from "node:zlib"

/** A whole answer. */
export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
  /** The code of the error that it tells. */
  readonly error?: string
}

export const text = (contentType: string, body: string): Reply => ({
  status: 200,
  headers: { "content-type": contentType, "x-content-type-options": "nosniff" },
  body
})

/**
 * A page: it runs and loads only what is in it, nobody frames it, and it asks this service alone. Its styles are
 * `hashed` as its scripts are, unless it has them `inline`, as attributes.
 */
export const page = (html: string, styles: "hashed" | "inline"): Reply => ({
  status: 200,
  headers: {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": [
      "default-src 'none'",
      `script-src ${hashesOf(html, "script")}`,
      `style-src ${styles === "inline" ? "'unsafe-inline'" : hashesOf(html, "style")}`,
      "img-src 'self' data:",
      "font-src data:",
      "connect-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'"
    ].join("; "),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer"
  },
  body: html
})

/** CSP 3, 2.3.1: the hashes of what stands between such tags, which have no attributes; nothing where there are none. */
const hashesOf = (html: string, tag: "script" | "style"): string => {
  const found = Array.from(html.matchAll(new RegExp(`<${tag}>([^]*?)</${tag}>`, "g")), ([, inside = ""]) => {
    // Browsers read line ends as one character.
    const hash = createHash("sha256").update(inside.replace(/\r\n?/g, "\n"), "utf8").digest("base64")
    return `'sha256-${hash}'`
  })
  return found.length === 0 ? "'none'" : found.join(" ")
}

const gzipped = new WeakMap<Reply, Reply>()

/** The reply in a coding that the client takes: compressed once and kept, where that is gzip. */
export const inCoding = (reply: Reply, accepted: string | undefined): Reply => {
  const headers = { ...reply.headers, vary: "accept-encoding" }
  if (!takesGzip(accepted ?? "")) return { ...reply, headers }
  const known = gzipped.get(reply)
  if (known !== undefined) return known
  const made = { ...reply, headers: { ...headers, "content-encoding": "gzip" }, body: gzipSync(reply.body) }
  gzipped.set(reply, made)
  return made
}

/** RFC 9110, 12.5.3: `gzip;q=0` is a refusal. */
const takesGzip = (accepted: string): boolean =>
  accepted.split(",").some((one) => {
    const [coding = "", ...parameters] = one.split(";").map((part) => part.trim().toLowerCase())
    return coding === "gzip" && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))
  })

export const json = (body: unknown, headers?: Readonly<Record<string, string>>, status = 200): Reply => ({
  status,
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify(body)
})

/** A client that still sends its body when it gets its answer is read on, this far, or it sees a reset instead. */
export interface DiscardLimits {
  readonly bytes: number
  readonly millis: number
}
export const discardLimits: DiscardLimits = { bytes: 64 * 1024 * 1024, millis: 10_000 }

/** Node itself reads on over this much and keeps the connection. */
const smallBodyBytes = 64 * 1024

const hasLargeRest = (request: Http.IncomingMessage): boolean =>
  !request.complete &&
  (request.headers["transfer-encoding"] !== undefined ||
    Number(request.headers["content-length"] ?? 0) > smallBodyBytes)

/**
 * Writes the answer. What is left of a large body is read and ignored first, and then the response ends; the function
 * that it returns ends it early.
 */
export const write = (
  request: Http.IncomingMessage,
  response: Http.ServerResponse,
  reply: Pick<Reply, "status" | "body">,
  headers: Array<string>,
  limits: DiscardLimits
): (() => void) | null => {
  if (response.headersSent || response.destroyed) return null
  if (reply.status !== 204) headers.push("content-length", String(Buffer.byteLength(reply.body)))
  const body = request.method === "HEAD" ? "" : reply.body
  if (!hasLargeRest(request)) {
    response.writeHead(reply.status, headers)
    response.end(body)
    return null
  }
  // The answer is complete by its length; only then does the end of the response close the connection.
  headers.push("connection", "close")
  response.writeHead(reply.status, headers)
  response.write(body)
  return discard(request, response, limits)
}

/** Names and values in turn, which node writes without looking at each twice. */
export const linesOf = (...all: ReadonlyArray<Readonly<Record<string, string>> | null>): Array<string> => {
  const lines: Array<string> = []
  for (const headers of all) for (const name in headers) lines.push(name, headers[name] ?? "")
  return lines
}

/** Reads and ignores until the body ends, the client leaves, or a limit is reached; then ends the response. */
const discard = (request: Http.IncomingMessage, response: Http.ServerResponse, limits: DiscardLimits): (() => void) => {
  let bytes = 0
  const end = () => {
    clearTimeout(timer)
    request.off("data", onData).off("end", end)
    response.off("close", end)
    response.end()
  }
  const onData = (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > limits.bytes) end()
  }
  const timer = setTimeout(end, limits.millis)
  request.on("data", onData).on("end", end).resume()
  response.on("close", end)
  return end
}

/** The same for a connection without a request that could be read. */
export const writeRaw = (socket: Duplex, reply: Reply, requestId: string): void => {
  const headers: Record<string, string> = {
    ...reply.headers,
    "x-request-id": requestId,
    "content-length": String(Buffer.byteLength(reply.body)),
    connection: "close"
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`HTTP/1.1 ${reply.status} ${Http.STATUS_CODES[reply.status] ?? ""}\r\n${lines.join("")}\r\n`)
  socket.end(reply.body)
}
