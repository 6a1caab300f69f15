import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { Connections } from "../../../src/layers/models/Connections.ts"

const options = { pipelining: 1, headersTimeout: 0, bodyTimeout: 0 }

/** A server that answers when it is told to. */
const held = async () => {
  const waiting: Array<Http.ServerResponse> = []
  let sockets = 0
  const server = Http.createServer((_, response) => void waiting.push(response)).listen(0, "127.0.0.1")
  server.on("connection", () => void sockets++)
  await once(server, "listening")
  const until = async (count: number) => {
    while (waiting.length < count) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    until,
    answerFirst: () => void waiting.shift()?.end("ok"),
    sockets: () => sockets,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
    }
  }
}

const ask = async (connections: Connections) => {
  const { body } = await connections.request({ method: "GET", path: "/" })
  return body.text()
}

describe("Connections", () => {
  it("makes as many as are needed, at most so many, and the others wait in their order", async () => {
    await using server = await held()
    const connections = new Connections(server.origin, 2, options)
    const answered: Array<number> = []
    const calls = [0, 1, 2, 3].map((n) => ask(connections).then(() => void answered.push(n)))
    await server.until(2)
    assert.strictEqual(connections.count("running"), 2)
    assert.strictEqual(connections.count("queued"), 2)
    for (let n = 0; n < 4; n++) {
      await server.until(1)
      server.answerFirst()
      await calls[n]
    }
    assert.deepStrictEqual(answered, [0, 1, 2, 3])
    assert.strictEqual(server.sockets(), 2)
    assert.strictEqual(connections.count("connected"), 2)
    await connections.close()
    assert.strictEqual(connections.count("connected"), 0)
  })

  it("uses a free one again", async () => {
    await using server = await held()
    const connections = new Connections(server.origin, 100, options)
    for (let n = 0; n < 5; n++) {
      const call = ask(connections)
      await server.until(1)
      server.answerFirst()
      await call
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.strictEqual(server.sockets(), 1)
    await connections.close()
  })

  it("closes when all that was asked has been answered, those that waited too, and takes nothing more", async () => {
    await using server = await held()
    const connections = new Connections(server.origin, 1, options)
    const calls = [ask(connections), ask(connections)]
    await server.until(1)
    let isClosed = false
    const closed = connections.close().then(() => (isClosed = true))
    const refused = await ask(connections).catch((error: unknown) => String(error))
    assert.match(refused, /clos/i)
    server.answerFirst()
    await calls[0]
    await server.until(1)
    assert.isFalse(isClosed)
    server.answerFirst()
    assert.deepStrictEqual(await Promise.all(calls), ["ok", "ok"])
    await closed
  })

  it("cuts what is under way and what waits", async () => {
    await using server = await held()
    const connections = new Connections(server.origin, 1, options)
    const calls = Promise.allSettled([ask(connections), ask(connections)])
    await server.until(1)
    await connections.destroy()
    for (const { status } of await calls) assert.strictEqual(status, "rejected")
    assert.match(await ask(connections).catch((error: unknown) => String(error)), /destroy/i)
  })

  it("serves again after nobody could be reached", async () => {
    const { origin, [Symbol.asyncDispose]: stop } = await held()
    await stop()
    const connections = new Connections(origin, 1, options)
    const failed = await Promise.allSettled([ask(connections), ask(connections)])
    assert.deepStrictEqual(
      failed.map(({ status }) => status),
      ["rejected", "rejected"]
    )
    const server = Http.createServer((_, response) => void response.end("ok")).listen(
      Number(new URL(origin).port),
      "127.0.0.1"
    )
    await once(server, "listening")
    assert.strictEqual(await ask(connections), "ok")
    await connections.close()
    server.close()
  })
})
