import * as Either from "effect/Either"

// Connection strings as libpq reads them: several hosts, and parameters that the driver knows otherwise or not at all.
// https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING

export const sslModes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full", "no-verify"] as const
/** As libpq has them; `no-verify` is `require` without any authority, as the drivers of Node.js have it. */
export type SslMode = (typeof sslModes)[number]

export const sessionTargets = ["any", "read-write", "primary"] as const
/** Which of several servers will do. Those that cannot be written to are no use here. */
export type SessionTarget = (typeof sessionTargets)[number]

/** One server of the address. */
export interface PostgresHost {
  /** A name, an address, or the folder of a socket; "" is where the driver looks by itself. */
  readonly name: string
  /** The connection string of this server alone, with the parameters that are the driver's own. */
  readonly url: string
}

export interface PostgresUrl {
  /** In the order in which they are tried; at least one. */
  readonly hosts: ReadonlyArray<PostgresHost>
  /** Hosts and database, without user and password. */
  readonly address: string
  /** Null where the address says nothing. */
  readonly sslMode: SslMode | null
  readonly sslRootCert: string | null
  readonly sslCert: string | null
  readonly sslKey: string | null
  readonly target: SessionTarget
}

/** What the driver must not see: it reads some of them in another way. */
const ours =
  "application_name sslmode sslrootcert sslcert sslkey ssl uselibpqcompat target_session_attrs load_balance_hosts host port".split(
    " "
  )

const isOneOf = <A extends string>(known: ReadonlyArray<A>, value: string): value is A =>
  known.some((one) => one === value)

/** The driver's own `ssl=true`. */
const bySsl: Readonly<Record<string, SslMode>> = {
  true: "verify-full",
  "1": "verify-full",
  "no-verify": "no-verify",
  false: "disable",
  "0": "disable"
}

/** A # in a password ends the address, so that the user is taken for the host, and digits before it for the port. */
const form = /^(postgres(?:ql)?):\/\/([^/?#]*@)?([^/?#@]*)(\/[^?#]*)?(?:\?([^#]*))?$/

/** The address, or what it should be. */
export const parsePostgresUrl = (text: string): Either.Either<PostgresUrl, string> => {
  const [, scheme, user = "", authority = "", path = "", query = ""] = form.exec(text) ?? []
  if (scheme === undefined || !isDecodable(user + authority + path)) {
    return Either.left(
      "a PostgreSQL connection string, postgres://USER:PASSWORD@HOST:5432/DATABASE, with % escapes in the password"
    )
  }
  const given = new URLSearchParams(query)
  const places = placesOf(authority, given)
  const broken = places.find((place) => !isPlace(place))
  if (broken !== undefined) return Either.left(`a PostgreSQL connection string: its host "${shown(broken)}" is none`)
  const sslMode = given.get("sslmode") ?? bySsl[given.get("ssl") ?? ""] ?? null
  if (sslMode !== null && !isOneOf(sslModes, sslMode)) {
    return Either.left(`a PostgreSQL connection string: sslmode is one of ${sslModes.join(", ")}`)
  }
  // Whoever writes to one of several servers means the one that takes it.
  const target = given.get("target_session_attrs") ?? (places.length > 1 ? "read-write" : "any")
  if (!isOneOf(sessionTargets, target)) {
    return Either.left(
      `a PostgreSQL connection string: target_session_attrs is one of ${sessionTargets.join(", ")}, as the service writes`
    )
  }
  return Either.right({
    hosts: places.map((place) => ({
      name: place.name.replace(/^\[(.*)\]$/, "$1"),
      url: `${scheme}://${user}${withPlace(place, path, query)}`
    })),
    address: `${places.map(shown).join(",")}${path}`,
    sslMode,
    sslRootCert: given.get("sslrootcert"),
    sslCert: given.get("sslcert"),
    sslKey: given.get("sslkey"),
    target
  })
}

const isDecodable = (part: string): boolean => Either.isRight(Either.try(() => decodeURIComponent(part)))

interface Place {
  readonly name: string
  readonly port: string
}

const isSocket = ({ name }: Place): boolean => name.startsWith("/")

const shown = ({ name, port }: Place): string => (port === "" ? name : `${name}:${port}`)

const isPlace = (place: Place): boolean =>
  isSocket(place) ? /^\d*$/.test(place.port) : place.name === "" || URL.canParse(`http://${shown(place)}`)

/** What follows the user: one server, and the parameters that are the driver's own. */
const withPlace = (place: Place, path: string, query: string): string => {
  const parameters = new URLSearchParams(query)
  for (const name of ours) parameters.delete(name)
  if (isSocket(place)) {
    parameters.set("host", place.name)
    if (place.port !== "") parameters.set("port", place.port)
  }
  const rest = parameters.toString()
  return `${isSocket(place) ? "" : shown(place)}${path}${rest === "" ? "" : `?${rest}`}`
}

/** From `a:5432,b:5432` or from `?host=a,b&port=5432`, of which one port may be for all. */
const placesOf = (authority: string, given: URLSearchParams): ReadonlyArray<Place> => {
  const named = given.get("host")
  const ports = given.get("port")?.split(",") ?? []
  const portAt = (i: number) => (ports.length === 1 ? ports[0] : ports[i]) ?? ""
  if (named !== null) return named.split(",").map((name, i) => ({ name, port: portAt(i) }))
  return authority.split(",").map((one, i) => {
    const [, name = one, port = ""] = /^(.*?)(?::(\d*))?$/.exec(one) ?? []
    return { name: decodeURIComponent(name), port: port === "" ? portAt(i) : port }
  })
}
