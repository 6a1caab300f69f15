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
  /** The next time a client says `text`, the server hears it, and the client is cut instead of answered. */
  readonly dropNextAnswer: (text: string) => Promise<void>
  /** The next time a client says `text`, that and all it says later is held back; its connection stays open until `refuse`. */
  readonly holdNext: (text: string) => Promise<void>
  readonly connections: () => number
  /** How often a client has said something after the server had answered it, or first of all. */
  readonly roundTrips: () => number
  readonly close: () => Promise<void>
}

interface Pair {
  readonly client: net.Socket
  readonly upstream: net.Socket
  isHeld: boolean
  /** What was said last was the client's. */
  isAsked: boolean
  /** Called instead of forwarding the server's next answer. */
  cut: (() => void) | null
}

interface Trap {
  readonly text: string
  readonly sprung: () => void
}

/** A TCP proxy on a free port of 127.0.0.1, or another address, in front of `target`. */
export const startTcpProxy = async (
  target: { readonly host: string; readonly port: number },
  address = "127.0.0.1"
): Promise<TcpProxy> => {
  const pairs = new Set<Pair>()
  let isSilent = false
  let port = 0
  let roundTrips = 0
  let dropping: Trap | null = null
  let holding: Trap | null = null

  /** False for what must not be forwarded. */
  const fromClient = (pair: Pair, data: Buffer): boolean => {
    if (!pair.isAsked) roundTrips++
    pair.isAsked = true
    if (holding !== null && data.includes(holding.text)) {
      pair.isHeld = true
      holding.sprung()
      holding = null
    }
    if (dropping !== null && data.includes(dropping.text)) {
      const { sprung } = dropping
      dropping = null
      pair.cut = () => {
        pair.client.destroy()
        pair.upstream.destroy()
        sprung()
      }
    }
    return !pair.isHeld
  }
  const fromUpstream = (pair: Pair): boolean => {
    pair.isAsked = false
    if (pair.cut === null) return true
    pair.cut()
    return false
  }

  const server = net.createServer({ allowHalfOpen: true }, (client) => {
    const upstream = net.connect(target)
    const pair: Pair = { client, upstream, isHeld: false, isAsked: false, cut: null }
    pairs.add(pair)
    const forward = (from: net.Socket, to: net.Socket, passes: (data: Buffer) => boolean) => {
      from.on("data", (data: Buffer) => {
        if (passes(data) && !to.write(data)) from.pause()
      })
      to.on("drain", () => {
        if (!isSilent) from.resume()
      })
      from.on("end", () => {
        if (!pair.isHeld) to.end()
      })
      from.on("error", () => undefined)
      from.on("close", () => {
        if (pair.isHeld && from === client) return
        pairs.delete(pair)
        to.destroy()
      })
      if (isSilent) from.pause()
    }
    forward(client, upstream, (data) => fromClient(pair, data))
    forward(upstream, client, () => fromUpstream(pair))
  })
  const listen = () =>
    new Promise<void>((resolve, reject) => {
      server.once("error", reject)
      server.listen(port, address, () => {
        server.off("error", reject)
        const address = server.address()
        if (address !== null && typeof address === "object") port = address.port
        resolve()
      })
    })
  const refuse = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      for (const { client, upstream } of Array.from(pairs)) {
        client.destroy()
        upstream.destroy()
      }
    })
  const setSilent = (value: boolean) => {
    isSilent = value
    for (const socket of Array.from(pairs).flatMap(({ client, upstream }) => [client, upstream])) {
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
    dropNextAnswer: (text) =>
      new Promise((resolve) => {
        dropping = { text, sprung: resolve }
      }),
    holdNext: (text) =>
      new Promise((resolve) => {
        holding = { text, sprung: resolve }
      }),
    connections: () => pairs.size,
    roundTrips: () => roundTrips,
    close: refuse
  }
}
