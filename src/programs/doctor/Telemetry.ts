import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { type Answer, HttpProbe, type Unreachable } from "../../services/running/HttpProbe.ts"
import type { SettingsShape } from "../../services/running/Settings.ts"
import { fail, type Findings, inMillis, type Line, pass, warn } from "./Check.ts"
import { hostOf } from "./Http.ts"

const lineOf = (signal: string, url: string, sent: Either.Either<Answer, Unreachable>): Line => {
  const name = `otlp ${signal}`
  const host = hostOf(url)
  if (Either.isLeft(sent)) {
    return fail(
      name,
      `${host}: ${sent.left.message}`,
      "is the collector up, and is this its port for HTTP, often 4318?"
    )
  }
  const { answeredMs, sentMs, status } = sent.right
  if (status >= 200 && status < 300) return pass(name, `${host} takes exports, in ${inMillis(answeredMs - sentMs)}`)
  if (status === 401 || status === 403) {
    return fail(name, `${host}: ${status}, the export is refused`, "correct OTEL_EXPORTER_OTLP_HEADERS")
  }
  if (status === 404 || status === 405) {
    return fail(
      name,
      `${host}: ${status}, exports are not taken at that path`,
      "correct the endpoint of OTEL_EXPORTER_OTLP"
    )
  }
  return warn(name, `${host}: ${status} to an export without content`, "look at the log of the collector")
}

/** Where traces and metrics go: an export without content, which both encodings have, is sent there. */
export const telemetryFindings = ({ otlp }: SettingsShape): Effect.Effect<Findings, never, HttpProbe> => {
  const targets = (["traces", "metrics"] as const).flatMap((signal) => {
    const { headers, protocol, url } = otlp[signal]
    const isJson = protocol === "http/json"
    const sent = {
      ...Option.match(headers, { onNone: () => ({}), onSome: Redacted.value }),
      "content-type": isJson ? "application/json" : "application/x-protobuf"
    }
    return Option.isSome(url) ? [{ signal, url: url.value, headers: sent, body: isJson ? "{}" : "" }] : []
  })
  return Effect.forEach(
    targets,
    ({ body, headers, signal, url }) =>
      Effect.flatMap(HttpProbe, ({ exchange }) => Effect.either(exchange(url, headers, body))).pipe(
        Effect.map((sent) => lineOf(signal, url, sent))
      ),
    { concurrency: "unbounded" }
  ).pipe(Effect.map((lines) => ({ lines, clocks: [] })))
}
