import { afterEach, assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import { makeCertificates } from "../support/certificates.ts"
import { chat, killAll, request, startConduit } from "../support/conduit.ts"
import { has } from "../support/external.ts"
import { createDatabase } from "../support/postgres.ts"
import { answers, error, refuses } from "../support/scriptedUpstream.ts"
import { eventually, paced } from "../support/traffic.ts"

const portOf = (server: Net.Server) => (server.address() as Net.AddressInfo).port

const open: Array<Http.Server | Https.Server> = []
const listening = async (server: Http.Server | Https.Server) => {
  open.push(server)
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return server
}

/**
 * Answers every call, and keeps where it went and with which key; by TLS where it has a certificate. Where it has keys, it
 * refuses every other one.
 */
const startUpstream = async (tls?: Https.ServerOptions, keys?: Set<string>) => {
  const calls: Array<string> = []
  const answer: Http.RequestListener = (incoming, response) => {
    // Its models are not listed.
    if (incoming.method === "GET") return void response.writeHead(404).end()
    const authorization = incoming.headers.authorization ?? "no key"
    calls.push(`${incoming.url} ${authorization}`)
    const chunks: Array<Buffer> = []
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
    incoming.on("end", () => {
      const body = JSON.parse(Buffer.concat(chunks).toString("utf8"))
      const isKnown = keys === undefined || keys.has(authorization.replace("Bearer ", ""))
      const answering = isKnown ? answers() : refuses(401, error("Incorrect API key", { code: "invalid_api_key" }))
      answering(response, { model: body.model, body, headers: incoming.headers })
    })
  }
  const server = await listening(tls === undefined ? Http.createServer(answer) : Https.createServer(tls, answer))
  return { calls, port: portOf(server) }
}

/** A proxy that leads every tunnel to that port, and keeps who asked for which. */
const startProxy = async (port: number) => {
  const tunnels: Array<string> = []
  const proxy = await listening(Http.createServer())
  proxy.on("connect", (incoming: Http.IncomingMessage, socket: Net.Socket) => {
    tunnels.push(`${incoming.url} ${incoming.headers["proxy-authorization"] ?? "nobody"}`)
    const there = Net.connect(port, "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 Connection Established\r\n\r\n")
      socket.pipe(there).pipe(socket)
    })
    for (const end of [there, socket]) end.on("error", () => [there, socket].forEach((one) => one.destroy()))
  })
  return { tunnels, port: portOf(proxy) }
}

const databases: Array<{ readonly drop: () => Promise<void> }> = []

/** A service whose file has that one provider. */
const serve = async (provider: string, env: Record<string, string> = {}) => {
  const database = await createDatabase()
  databases.push(database)
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-configuration-"))
  Fs.writeFileSync(
    Path.join(folder, "conduit.yaml"),
    `providers:\n  local: { kind: openai-compatible, ${provider} }\nmodels:\n  - { id: small, provider: local }\n`
  )
  const conduit = await startConduit({ databaseUrl: database.url, folder, env: { CONDUIT_SIMULATE: "", ...env } })
  Fs.rmSync(folder, { recursive: true })
  return conduit
}

const ask = (url: string) => request(`${url}/v1/chat/completions`, { body: chat("hello") })

afterEach(async () => {
  await killAll()
  for (const server of open.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
  for (const { drop } of databases.splice(0)) await drop()
})

describe("the configuration", () => {
  it("has the port of PORT where CONDUIT_PORT is not set", async () => {
    const taken = await listening(Http.createServer())
    const port = portOf(taken)
    taken.close()
    await once(taken, "close")
    const conduit = await serve(`baseUrl: "http://127.0.0.1:1/v1"`, { CONDUIT_PORT: "", PORT: String(port) })
    assert.strictEqual(new URL(conduit.url).port, String(port))
  })

  it("has all its problems told at one start, those of the environment and those of the file", async () => {
    const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-configuration-"))
    Fs.writeFileSync(Path.join(folder, "conduit.yaml"), "providers: { p: { kind: grpc, baseUrl: 7 } }\nmodel: []\n")
    const env = { CONDUIT_BODY_TIMEOUT: "soon", CONDUIT_MAX_IN_FLIGHT: "0" }
    const conduit = await startConduit({ folder, env, isUnready: true })
    const { code, report } = await conduit.ended()
    Fs.rmSync(folder, { recursive: true })
    assert.strictEqual(code, 1)
    const [error] = report.errors
    for (const name of ["CONDUIT_BODY_TIMEOUT", "CONDUIT_MAX_IN_FLIGHT", "providers.p.kind", "providers.p.baseUrl"]) {
      assert.include(error?.message, `${name}: `)
    }
    assert.include(error?.message, "conduit.yaml: model: is not a key here: did you mean models?")
  })

  it("takes addresses and keys in the forms that other gateways have", async () => {
    const upstream = await startUpstream()
    const conduit = await serve(
      `baseUrl: "\${NOWHERE:-http://127.0.0.1:${upstream.port}}/openai/chat/completions?api-version=7", apiKey: "$LOCAL_KEY"`,
      { LOCAL_KEY: "key-1" }
    )
    assert.strictEqual((await ask(conduit.url)).status, 200)
    assert.deepStrictEqual(upstream.calls, ["/openai/chat/completions?api-version=7 Bearer key-1"])
  })

  it("follows the file of a provider's key, rotated under load without a failure, and keeps a key while the file is wrong", async () => {
    const valid = new Set(["key-1", "key-2"])
    const upstream = await startUpstream(undefined, valid)
    const file = Path.join(Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-secret-")), "key")
    const write = (text: string) => {
      Fs.writeFileSync(`${file}.new`, text)
      Fs.renameSync(`${file}.new`, file)
    }
    write("key-1\n")
    try {
      const conduit = await serve(`baseUrl: "http://127.0.0.1:${upstream.port}/v1", apiKeyFile: "\${KEY_FILE}"`, {
        KEY_FILE: file
      })
      const failed: Array<string> = []
      const load = paced(20, async () => {
        const answer = await ask(conduit.url)
        if (answer.status !== 200) failed.push(answer.text)
      })
      const calledWith = (key: string) =>
        eventually(key, 10_000, async () => (upstream.calls.at(-1)?.endsWith(`Bearer ${key}`) ? true : undefined))
      await calledWith("key-1")
      write("key-2\n")
      await calledWith("key-2")
      valid.delete("key-1")
      write("two words\n")
      const line = await conduit.logged("keys of providers stay as they were")
      assert.include(String(line["message"]), "providers.local.apiKeyFile")
      await calledWith("key-2")
      write("key-2")
      await conduit.logged("the files of the providers' keys are right again")
      await load.stop()
      assert.deepStrictEqual(failed, [])
      // The upstream does look at it.
      valid.delete("key-2")
      assert.strictEqual((await ask(conduit.url)).status, 502)
      for (const secret of ["key-1", "key-2", "two words"]) assert.notInclude(JSON.stringify(conduit.lines), secret)
    } finally {
      Fs.rmSync(Path.dirname(file), { recursive: true })
    }
  })

  it("calls models through the proxy of the environment, and those of NO_PROXY without", async () => {
    const upstream = await startUpstream()
    const proxy = await startProxy(upstream.port)
    const env = { HTTP_PROXY: `http://user:word@127.0.0.1:${proxy.port}` }
    const named = `baseUrl: "http://models.invalid/v1"`
    const through = await serve(named, env)
    assert.strictEqual((await ask(through.url)).status, 200)
    assert.deepStrictEqual(proxy.tunnels, [`models.invalid:80 Basic ${Buffer.from("user:word").toString("base64")}`])
    assert.strictEqual((await request(`${through.url}/metrics`)).status, 200)

    const without = await serve(named, { ...env, NO_PROXY: ".invalid" })
    assert.strictEqual((await ask(without.url)).status, 502)
    // A machine reaches itself directly, whatever its environment says.
    const own = await serve(`baseUrl: "http://127.0.0.1:${upstream.port}/v1"`, env)
    assert.strictEqual((await ask(own.url)).status, 200)
    assert.lengthOf(proxy.tunnels, 1)
  })

  it.skipIf(!has("openssl"))(
    "calls a model at an https address through HTTPS_PROXY, and not through HTTP_PROXY",
    async () => {
      const certificates = makeCertificates("DNS:models.invalid")
      try {
        const [certificate, key] = [certificates.certificate, certificates.key].map((file) => Fs.readFileSync(file))
        const upstream = await startUpstream({ cert: certificate, key })
        const [proxy, other] = [await startProxy(upstream.port), await startProxy(upstream.port)]
        for (const name of ["HTTPS_PROXY", "https_proxy"]) {
          const conduit = await serve(`baseUrl: "https://models.invalid/v1", apiKey: "key-1"`, {
            [name]: `http://127.0.0.1:${proxy.port}`,
            HTTP_PROXY: `http://127.0.0.1:${other.port}`,
            NODE_EXTRA_CA_CERTS: certificates.authority
          })
          assert.strictEqual((await ask(conduit.url)).status, 200, name)
        }
        assert.deepStrictEqual(new Set(proxy.tunnels), new Set(["models.invalid:443 nobody"]))
        assert.deepStrictEqual(
          upstream.calls,
          Array.from({ length: 2 }, () => "/v1/chat/completions Bearer key-1")
        )
        assert.deepStrictEqual(other.tunnels, [])
      } finally {
        certificates.remove()
      }
    }
  )
})
