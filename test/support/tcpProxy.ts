import * as net from "node:net"

export interface TcpProxy {
  readonly port: number
  /** Accepts, keeps what is open, and forwards nothing in either direction. */
  readonly silent: () => void
  /** Forwards again, what was held back included. */
  readonly resume: () => void
  /** Cuts every connection and refuses new ones until `listen`. */
  readonly refuse: () => Promise<void>
  readonly listen: () => Promise<void>
  readonly connections: () => number
  readonly close: () => Promise<void>
}

/** A TCP proxy on a free port of 127.0.0.1, in front of `target`. */
export const startTcpProxy = async (target: { readonly host: string; readonly port: number }): Promise<TcpProxy> => {
  const pairs = new Set<readonly [net.Socket, net.Socket]>()
  let isSilent = false
  let port = 0
  const server = net.createServer({ allowHalfOpen: true }, (client) => {
    const upstream = net.connect(target)
    const pair = [client, upstream] as const
    pairs.add(pair)
    const forward = (from: net.Socket, to: net.Socket) => {
      from.on("data", (data) => {
        if (!to.write(data)) from.pause()
      })
      to.on("drain", () => {
        if (!isSilent) from.resume()
      })
      from.on("end", () => to.end())
      from.on("error", () => undefined)
      from.on("close", () => {
        pairs.delete(pair)
        to.destroy()
      })
      if (isSilent) from.pause()
    }
    forward(client, upstream)
    forward(upstream, client)
  })
  const listen = () =>
    new Promise<void>((resolve, reject) => {
      server.once("error", reject)
      server.listen(port, "127.0.0.1", () => {
        server.off("error", reject)
        const address = server.address()
        if (address !== null && typeof address === "object") port = address.port
        resolve()
      })
    })
  const refuse = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      for (const [client, upstream] of Array.from(pairs)) {
        client.destroy()
        upstream.destroy()
      }
    })
  const setSilent = (value: boolean) => {
    isSilent = value
    for (const socket of Array.from(pairs).flat()) {
      if (value) socket.pause()
      else socket.resume()
    }
  }
  await listen()
  return {
    port,
    silent: () => setSilent(true),
    resume: () => setSilent(false),
    refuse,
    listen,
    connections: () => pairs.size,
    close: refuse
  }
}
