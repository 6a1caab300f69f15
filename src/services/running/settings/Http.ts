import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Parse from "./Parsers.ts"
import type { Platform, ReadSetting } from "./Setting.ts"

/** One row a setting, in the order of the guide. Whole, because it is a table. */
export const http = (setting: ReadSetting, { sha256 }: Platform) =>
  ({
    host: setting("CONDUIT_HOST", Parse.text, "127.0.0.1", "address to listen on", "0.0.0.0"),
    port: setting(
      "CONDUIT_PORT",
      Parse.integer(0, 65_535),
      8000,
      "port to listen on; 0 is any free one. Where it is not set, `PORT` counts",
      "8080",
      { alias: "PORT" }
    ),
    /** Without these, the next two and keys in the database everybody may call. */
    apiKeys: setting(
      "CONDUIT_API_KEYS",
      Parse.keys(sha256),
      [],
      "accepted keys, comma separated, plain or `sha256:HEX`; `NAME:` before one is its name, which owns what it does",
      "team-a:sha256:9f86d081884c7d65...",
      { shown: "none: everybody may call", secret: true }
    ),
    adminKeys: setting(
      "CONDUIT_ADMIN_KEYS",
      Parse.keys(sha256, ["admin"]),
      [],
      "keys with the scope `admin`, likewise: they may do all that others may, read what all did, and make and revoke keys",
      "ops:sha256:9f86d081884c7d65...",
      { shown: "none", secret: true }
    ),
    commandKey: setting(
      "CONDUIT_API_KEY",
      Parse.optional(Parse.secretText),
      Option.none(),
      "the key that commands such as `conduit stats` show to a running service, where `--api-key` does not say; the service itself does not read it",
      "sk-...",
      { secret: true }
    ),
    apiKeysFile: setting(
      "CONDUIT_API_KEYS_FILE",
      Parse.optional(Parse.text),
      Option.none(),
      "a YAML file of keys with their scopes, limits and expiry; a change of it counts within a second",
      "/etc/conduit/keys.yaml"
    ),
    /** Keys that read `/metrics`, likewise; empty = everybody may. */
    metricsKeyHashes: setting(
      "CONDUIT_METRICS_KEYS",
      Parse.keyHashes(sha256),
      [],
      "accepted keys of `GET /metrics`, which those of the API do not open, and which do not open the API; comma separated, plain or `sha256:HEX`",
      "sha256:9f86d081884c7d65...",
      { shown: "none: everybody may read them", secret: true }
    ),
    /** Null: all of them outside production, and none in it. */
    publicPages: setting(
      "CONDUIT_PUBLIC_PAGES",
      Parse.optional(Parse.pages),
      Option.none(),
      "what everybody may read where keys are needed for the rest: `metrics`, `docs` (with `/openapi.json`) and `index`, comma separated, or `none`",
      "metrics",
      { shown: "`none` in production, else all" }
    ),
    allowAnonymous: setting(
      "CONDUIT_ALLOW_ANONYMOUS",
      Parse.flag,
      false,
      "production may listen beyond loopback without keys",
      "true"
    ),
    requestTimeout: setting(
      "CONDUIT_REQUEST_TIMEOUT",
      Parse.duration(),
      Duration.minutes(10),
      "total deadline of one request, all attempts included; a silent model gets half of what is left while another could answer",
      "2 minutes"
    ),
    maxBodyBytes: setting(
      "CONDUIT_MAX_BODY_BYTES",
      Parse.integer(1024, 1024 ** 3),
      32 * 1024 * 1024,
      "a larger request body is answered 413",
      "1048576"
    ),
    maxBodiesBytes: setting(
      "CONDUIT_MAX_BODIES_BYTES",
      Parse.integer(1024, 1024 ** 4),
      128 * 1024 * 1024,
      "bytes of all request bodies that are being read at once; a body beyond it is answered 503",
      "268435456"
    ),
    bodyTimeout: setting(
      "CONDUIT_BODY_TIMEOUT",
      Parse.duration(),
      Duration.seconds(30),
      "how long a client may take to send its body",
      "10 seconds"
    ),
    corsOrigins: setting(
      "CONDUIT_CORS_ORIGINS",
      Parse.origins,
      [],
      "origins whose pages may read the answers in a browser, comma separated, or `*` for all",
      "https://app.example.com",
      { shown: "none" }
    ),
    keepAliveTimeout: setting(
      "CONDUIT_KEEP_ALIVE_TIMEOUT",
      Parse.duration(),
      Duration.seconds(620),
      "how long an idle connection is kept: longer than whatever is in front keeps its own, so that a request never meets a connection that is being closed",
      "75 seconds"
    ),
    /** Headers of a stream without a first event go out after two thirds of it. */
    streamKeepAlive: setting(
      "CONDUIT_STREAM_KEEP_ALIVE",
      Parse.duration({ zero: true }),
      Duration.seconds(15),
      "a stream in which nothing comes for so long shows a sign of life, a comment; `0 seconds` for none",
      "10 seconds"
    ),
    maxInFlight: setting(
      "CONDUIT_MAX_IN_FLIGHT",
      Parse.integer(1, 1_000_000),
      4096,
      "more requests at once are answered 503",
      "512"
    ),
    overloadDelay: setting(
      "CONDUIT_OVERLOAD_DELAY",
      Parse.duration({ zero: true }),
      Duration.millis(25),
      "while no request begins before it has waited so long for the processor, who would wait longer gets 503 at once; 0 switches it off",
      "50 millis"
    )
  }) as const

/** Whether there are keys without the database, which may have more. */
export const hasKeys = ({
  adminKeys,
  apiKeys,
  apiKeysFile
}: Pick<ReturnType<typeof http>, "adminKeys" | "apiKeys" | "apiKeysFile">): boolean =>
  apiKeys.length + adminKeys.length > 0 || Option.isSome(apiKeysFile)
