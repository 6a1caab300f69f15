import { changeMembers, type Edit, findMember, membersOf, skipSpace, splice } from "../basics/JsonText.ts"
import { isObject, type JsonObject, membersIn } from "./Json.ts"

/** The texts that bodies were parsed from, for as long as these live. */
const sources = new WeakMap<object, string>()

/** Remembers the JSON that a body was parsed from. */
export const rememberSource = (body: unknown, json: string): void => {
  if (typeof body === "object" && body !== null) sources.set(body, json)
}

/** The JSON that a body was parsed from; of one that was made here, its own. Throws where that is nested too deeply. */
export const sourceOf = (body: JsonObject): string => sources.get(body) ?? JSON.stringify(body)

/** How a request goes on to its model. */
export interface Forwarding {
  /** The name that the provider knows the model by. */
  readonly upstream: string
  /** Its name in the configuration, where the protocol's requests differ by it. */
  readonly provider?: string
  readonly stream: boolean
  /** A stream is asked for its counts, whether the caller wants them or not. */
  readonly asksForUsage: boolean
  /** Other members at the top that change, in JSON; null leaves one out. */
  readonly changes?: ReadonlyMap<string, string | null>
}

/**
 * The request as its model gets it: every byte as it came, but for `model`, `conduit` and what is to change. Of members of
 * one name the last stands, which is the one that was read here.
 */
export const requestText = (body: JsonObject, forwarding: Forwarding): string => {
  const json = sourceOf(body)
  const at = skipSpace(json, 0)
  return plainText(json, at, body, forwarding) ?? changedText(json, at, body, forwarding)
}

/** For most requests: only the name of the model changes, and a stream is asked for its counts. Null for the others. */
const plainText = (json: string, at: number, body: JsonObject, forwarding: Forwarding): string | null => {
  const { asksForUsage, changes, stream, upstream } = forwarding
  if (body["conduit"] !== undefined || (changes !== undefined && changes.size > 0)) return null
  if (stream && (body["stream"] !== true || (asksForUsage && "stream_options" in body))) return null
  const { count, end, valueStart } = findMember(json, at, "model")
  // Else one of them stands there twice, or under a name with an escape.
  if (valueStart === -1 || count !== membersIn(body)) return null
  const rest = `${json.slice(at + 1, valueStart)}${JSON.stringify(upstream)}${json.slice(end)}`
  const options = stream && asksForUsage ? '"stream_options":{"include_usage":true},' : ""
  return `${json.slice(0, at + 1)}${options}${rest}`
}

/** The same by edits, whatever is to change. */
export const changedText = (json: string, at: number, body: JsonObject, forwarding: Forwarding): string => {
  const members = membersOf(json, at)
  const edits: Array<Edit> = []
  const values = new Map<string, string | null>([
    ["model", JSON.stringify(forwarding.upstream)],
    ["conduit", null],
    ...(forwarding.changes ?? [])
  ])
  if (forwarding.stream) {
    if (body["stream"] !== true) values.set("stream", "true")
    if (forwarding.asksForUsage) {
      const options = isObject(body["stream_options"])
        ? members.findLast(({ name }) => name === "stream_options")?.valueStart
        : undefined
      if (options === undefined) values.set("stream_options", '{"include_usage":true}')
      else changeMembers(options, membersOf(json, options), new Map([["include_usage", "true"]]), edits)
    }
  }
  changeMembers(at, members, values, edits)
  return splice(json, edits)
}
