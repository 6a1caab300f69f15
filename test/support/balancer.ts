import * as Http from "node:http"
import { patientMs } from "./patience.ts"

/** A small load balancer: round robin over the backends that are ready by its last poll. It never tries again. */
export interface Balancer {
  readonly url: string
  /** Known from now on; in rotation once a poll finds it ready. */
  readonly add: (url: string) => void
  /** Known no more; the connections to it are closed. */
  readonly remove: (url: string) => void
  /** Completes when the backend is in rotation, or is no more. */
  readonly until: (url: string, isReady: boolean, limitMs: number) => Promise<void>
  /** What went wrong between it and the backends, one line each. */
  readonly failures: ReadonlyArray<string>
  readonly close: () => Promise<void>
}

interface Backend {
  readonly url: string
  readonly agent: Http.Agent
  isReady: boolean
}

const pollMs = 1_000
/** Longer than a poll: on a busy machine an answer is late, and still an answer. */
const probeLimitMs = 4_000
/** Of one hop, not for the one behind it. */
const hopByHop = new Set(["connection", "keep-alive", "transfer-encoding"])

const forwarded = (headers: Http.IncomingHttpHeaders) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !hopByHop.has(name)))

/** Over a connection of its own each time. Null is no answer in time, which says that the machine is busy. */
const probe = (url: string): Promise<boolean | null> =>
  new Promise((resolve) => {
    const asking = Http.get(`${url}/health/ready`, { agent: false, timeout: probeLimitMs }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    asking.on("timeout", () => {
      resolve(null)
      asking.destroy()
    })
    asking.on("error", () => resolve(false))
  })

export const startBalancer = async (): Promise<Balancer> => {
  const backends: Array<Backend> = []
  const failures: Array<string> = []
  let waiting: Array<() => void> = []
  let turn = 0

  const next = (): Backend | undefined => {
    const ready = backends.filter(({ isReady }) => isReady)
    return ready[turn++ % ready.length]
  }

  const server = Http.createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const backend = next()
    const failed = (what: string) => {
      failures.push(`${request.method} ${request.url} to ${backend?.url ?? "nobody"}: ${what}`)
      if (response.headersSent) response.destroy()
      else response.writeHead(502).end()
    }
    if (backend === undefined) return failed("no backend is ready")
    const { headers, method } = request
    const asking = Http.request(`${backend.url}${request.url}`, {
      method,
      agent: backend.agent,
      headers: forwarded(headers)
    })
    asking.on("error", (error) => failed(error.message))
    asking.on("response", (answer) => {
      response.writeHead(answer.statusCode ?? 0, forwarded(answer.headers))
      answer.on("error", (error) => failed(error.message))
      answer.pipe(response)
    })
    response.on("close", () => asking.destroy())
    request.pipe(asking)
  })

  const poll = () => {
    for (const backend of backends) {
      void probe(backend.url).then((isReady) => {
        backend.isReady = isReady ?? backend.isReady
        for (const look of waiting) look()
      })
    }
  }
  const timer = setInterval(poll, pollMs)
  await new Promise<void>((resolve) => server.listen({ port: 0, host: "127.0.0.1", backlog: 1024 }, resolve))
  const address = server.address()
  const port = address !== null && typeof address === "object" ? address.port : 0

  return {
    url: `http://127.0.0.1:${port}`,
    failures,
    add: (url) => {
      backends.push({ url, agent: new Http.Agent({ keepAlive: true }), isReady: false })
    },
    remove: (url) => {
      const at = backends.findIndex((backend) => backend.url === url)
      for (const { agent } of backends.splice(at, at < 0 ? 0 : 1)) agent.destroy()
    },
    until: (url, isReady, limitMs) =>
      new Promise((resolve, reject) => {
        const done = () => {
          waiting = waiting.filter((one) => one !== look)
          clearTimeout(limit)
        }
        const look = () => {
          if (backends.find((backend) => backend.url === url)?.isReady !== isReady) return
          done()
          resolve()
        }
        const limit = setTimeout(() => {
          done()
          reject(new Error(`${url} did not become ${isReady ? "ready" : "unready"} within ${limitMs} ms`))
        }, patientMs(limitMs))
        waiting.push(look)
        look()
      }),
    close: async () => {
      clearInterval(timer)
      for (const { agent } of backends) agent.destroy()
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    }
  }
}
