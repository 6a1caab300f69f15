import { createHash, createHmac } from "node:crypto"
import { once } from "node:events"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { crc32 } from "node:zlib"

// Amazon Bedrock's runtime as a test has it: it checks each signature by the rules of Signature Version 4, written here once
// more from their description (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).

const hash = (data: string | Buffer) => createHash("sha256").update(data).digest("hex")
const hmac = (key: string | Buffer, data: string) => createHmac("sha256", key).update(data).digest()

/** RFC 3986: nothing but unreserved characters stays. */
const encoded = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)

/** Why the signature is not right; null if it is. */
export const signatureProblem = (request: Http.IncomingMessage, body: Buffer, secret: string): string | null => {
  const { headers, method = "", url = "/" } = request
  const given =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/bedrock\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? ""
    )
  if (given === null) return `no signature: ${headers.authorization}`
  const [, , day = "", region = "", names = "", signature] = given
  const stamp = String(headers["x-amz-date"])
  if (Math.abs(Date.parse(stamp.replace(/^(....)(..)(..T..)(..)(..)Z$/, "$1-$2-$3:$4:$5Z")) - Date.now()) > 300_000) {
    return `not now: ${stamp}`
  }
  const canonical = [
    method,
    // Encoded once more, as every service but S3 has it.
    (url.split("?")[0] ?? "/").split("/").map(encoded).join("/"),
    "",
    ...names.split(";").map((name) => `${name}:${String(headers[name]).trim().replace(/ +/g, " ")}`),
    "",
    names,
    hash(body)
  ].join("\n")
  const scope = `${day}/${region}/bedrock/aws4_request`
  const toSign = ["AWS4-HMAC-SHA256", stamp, scope, hash(canonical)].join("\n")
  const key = ["bedrock", "aws4_request"].reduce(
    (made, one) => hmac(made, one),
    hmac(hmac(`AWS4${secret}`, day), region)
  )
  const right = createHmac("sha256", key).update(toSign).digest("hex")
  return right === signature ? null : `The request signature we calculated does not match: ${canonical}`
}

/** One event in Amazon's binary form. */
export const amazonEvent = (fields: Readonly<Record<string, string>>, payload: unknown): Buffer => {
  const head = Buffer.concat(
    Object.entries(fields).map(([name, value]) => {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(Buffer.byteLength(value))
      return Buffer.concat([
        Buffer.from([Buffer.byteLength(name)]),
        Buffer.from(name),
        Buffer.from([7]),
        length,
        Buffer.from(value)
      ])
    })
  )
  const body = Buffer.from(JSON.stringify(payload))
  const prelude = Buffer.alloc(12)
  prelude.writeUInt32BE(16 + head.length + body.length, 0)
  prelude.writeUInt32BE(head.length, 4)
  prelude.writeUInt32BE(crc32(prelude.subarray(0, 8)), 8)
  const message = Buffer.concat([prelude, head, body])
  const end = Buffer.alloc(4)
  end.writeUInt32BE(crc32(message))
  return Buffer.concat([message, end])
}

export const saidEvent = (type: string, payload: unknown) =>
  amazonEvent({ ":message-type": "event", ":event-type": type, ":content-type": "application/json" }, payload)
export const thrownEvent = (type: string, message: string) =>
  amazonEvent(
    { ":message-type": "exception", ":exception-type": type, ":content-type": "application/json" },
    { message }
  )

export interface AmazonStandIn {
  readonly url: string
  readonly asked: Array<{
    readonly path: string
    readonly body: any
    readonly problem: string | null
    readonly key: string
  }>
  /** What the next requests are answered: a status and a body, or the bytes of a stream. */
  answer: (streams: boolean) => { readonly status: number; readonly body: unknown } | ReadonlyArray<Buffer>
  readonly close: () => void
}

export const startAmazon = async (secret: string): Promise<AmazonStandIn> => {
  const asked: AmazonStandIn["asked"] = []
  const server = Http.createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const bytes = Buffer.concat(chunks)
      const key = request.headers.authorization ?? ""
      const problem = key.startsWith("Bearer ") ? null : signatureProblem(request, bytes, secret)
      asked.push({ path: request.url ?? "", body: JSON.parse(bytes.toString("utf8")), problem, key })
      if (problem !== null) {
        response.writeHead(403, { "content-type": "application/json" })
        return void response.end(JSON.stringify({ message: problem }))
      }
      const told = standIn.answer(request.url?.endsWith("-stream") === true)
      if (Array.isArray(told)) {
        response.writeHead(200, { "content-type": "application/vnd.amazon.eventstream" })
        for (const chunk of told) response.write(chunk)
        return void response.end()
      }
      const { body, status } = told as { readonly status: number; readonly body: unknown }
      response.writeHead(status, { "content-type": "application/json", "x-amzn-requestid": "amazon-1" })
      response.end(JSON.stringify(body))
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const standIn: AmazonStandIn = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    answer: () => ({ status: 500, body: { message: "nothing is scripted" } }),
    close: () => {
      server.closeAllConnections()
      server.close()
    }
  }
  return standIn
}
