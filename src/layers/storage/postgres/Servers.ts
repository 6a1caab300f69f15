import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as net from "node:net"
import * as Pg from "pg"
import { parsePostgresUrl, type SessionTarget } from "../../../domain/basics/PostgresUrl.ts"
import { DatabaseError } from "../../../services/storage/Database.ts"
import { type Tls, tlsOf } from "./Tls.ts"

/** One way to a server: where it is, and with which TLS. */
export interface Route {
  readonly url: string
  readonly tls: Tls
}

/** What the driver's clients and pools are made with. */
export const configOf = ({ tls, url }: Route) => ({ connectionString: url, ssl: tls ?? false })

/** A later server begins so much later, so that the earlier one is taken where both will do. */
const headStart = Duration.millis(250)

/** The server takes the connection, and cannot be what is asked for. */
class NotTheTarget extends Error {}

/**
 * The servers of an address and the ways to them. What served last is known, and tried alone until it is forgotten;
 * then all are asked at once, and the first one that will do is known. Whoever fails to connect forgets. Whole, because
 * knowing, searching and forgetting are one state.
 */
export class Servers {
  /** Without user and password. */
  readonly address: string
  readonly #hosts: ReadonlyArray<ReadonlyArray<Route>>
  readonly #target: SessionTarget
  readonly #limit: Duration.Duration
  readonly #problem: string | null
  readonly #sockets = new Set<net.Socket>()
  #known: Route | null
  #choosing: Promise<Route> | null = null
  #generation = 0

  constructor(options: {
    readonly address: string
    /** By server the ways to try, in order. */
    readonly hosts: ReadonlyArray<ReadonlyArray<Route>>
    readonly target: SessionTarget
    readonly connectTimeout: Duration.Duration
    /** Why there is none. */
    readonly problem: string | null
  }) {
    this.address = options.address
    this.#hosts = options.hosts
    this.#target = options.target
    this.#limit = options.connectTimeout
    this.#problem = options.problem
    this.#known = this.#only
  }

  /** Null if somebody has to choose first. */
  get known(): Route | null {
    return this.#known
  }

  /** Connections of an earlier one may be to a server that is not the right one any more. */
  get generation(): number {
    return this.#generation
  }

  choose(): Promise<Route> {
    if (this.#known !== null) return Promise.resolve(this.#known)
    this.#choosing ??= Effect.runPromise(Effect.either(this.#search))
      // The failure itself, which a fiber's would wrap.
      .then(Either.match({ onLeft: (error) => Promise.reject(error), onRight: (route) => route }))
      .finally(() => (this.#choosing = null))
    return this.#choosing
  }

  /** The next connection looks again. */
  forget(): void {
    this.#known = this.#only
  }

  /** The server does not take writes any more, or is another one now: no connection to it is used again. */
  leave(): void {
    this.#generation++
    this.forget()
  }

  /** Cuts what is being asked. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** The only way there is. */
  get #only(): Route | null {
    const [only, ...more] = this.#hosts.flat()
    return only !== undefined && more.length === 0 && this.#target === "any" ? only : null
  }

  get #search(): Effect.Effect<Route, unknown> {
    return Effect.suspend(() => {
      if (this.#problem !== null) {
        return Effect.fail(
          new DatabaseError({ operation: "read DATABASE_URL", reason: "unexpected", detail: this.#problem })
        )
      }
      const failures: Array<unknown> = []
      const serving = (routes: ReadonlyArray<Route>) =>
        Effect.firstSuccessOf(
          routes.map((route) => Effect.tapError(this.#ask(route), (error) => Effect.sync(() => failures.push(error))))
        )
      return Effect.raceAll(
        this.#hosts.map((routes, i) => Effect.delay(serving(routes), Duration.times(headStart, i)))
      ).pipe(
        Effect.tap((route) => Effect.sync(() => (this.#known = route))),
        Effect.catchAll(() => Effect.fail(this.#worst(failures)))
      )
    })
  }

  /** What an operator can do most about: a refusal by a server, before one that is not there. */
  #worst(failures: ReadonlyArray<unknown>): unknown {
    const said = failures.find((error) => error instanceof Pg.DatabaseError)
    if (said !== undefined) return said
    if (failures.some((error) => error instanceof NotTheTarget)) {
      return new Error(`connection: none of ${this.address} takes writes (target_session_attrs=${this.#target})`)
    }
    return failures.find((error) => !/does not support SSL/.test(String(error))) ?? failures[0]
  }

  #ask(route: Route): Effect.Effect<Route, unknown> {
    return Effect.acquireUseRelease(
      Effect.sync(() => {
        const socket = new net.Socket()
        this.#sockets.add(socket)
        socket.once("close", () => this.#sockets.delete(socket))
        const client = new Pg.Client({
          ...configOf(route),
          stream: () => socket,
          connectionTimeoutMillis: Duration.toMillis(this.#limit)
        })
        client.on("error", () => undefined)
        return { client, socket }
      }),
      ({ client }) => Effect.tryPromise({ try: () => meets(client, this.#target), catch: (error) => error }),
      ({ client, socket }) =>
        Effect.sync(() => {
          const cut = () => void socket.destroy()
          void client.end().then(cut, cut)
          setTimeout(cut, 200).unref()
        })
    ).pipe(Effect.as(route))
  }
}

const meets = async (client: Pg.Client, target: SessionTarget): Promise<void> => {
  await client.connect()
  if (target === "any") return
  const { rows } = await client.query<{ standby: boolean; readOnly: boolean }>(
    `SELECT pg_is_in_recovery() AS standby, current_setting('transaction_read_only') = 'on' AS "readOnly"`
  )
  const isFit = target === "primary" ? rows[0]?.standby === false : rows[0]?.readOnly === false
  if (!isFit) throw new NotTheTarget()
}

/** The servers of a connection string. What is wrong with it, or with a file that it names, fails whoever connects. */
export const makeServers = (url: Redacted.Redacted, connectTimeout: Duration.Duration): Servers =>
  Either.match(
    Either.flatMap(parsePostgresUrl(Redacted.value(url)), (parsed) =>
      Either.map(tlsOf(parsed), (tls) => ({ ...parsed, tls }))
    ),
    {
      onLeft: (problem) =>
        new Servers({ address: "the configured address", hosts: [], target: "any", connectTimeout, problem }),
      onRight: ({ address, hosts, target, tls }) =>
        new Servers({
          address,
          target,
          connectTimeout,
          problem: null,
          hosts: hosts.map((host) => tls(host).map((one) => ({ url: host.url, tls: one })))
        })
    }
  )
