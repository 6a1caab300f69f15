import { membersOf, changeMembers, type Edit, skipSpace, splice, withMembers } from "../../basics/JsonText.ts"
import type { StreamFailure } from "../AnswerStream.ts"
import { errorIn } from "../ErrorSaid.ts"
import type { Label } from "../Form.ts"
import { arrayOf, isObject, type JsonObject, parseJson, textOf } from "../Json.ts"
import { type Forwarding, sourceOf } from "../RequestText.ts"
import type { Said } from "../Said.ts"
import type { WholeAnswer } from "../WholeAnswer.ts"
import { blockReasonOf, stopReasonOf } from "./Answer.ts"
import { member } from "./Members.ts"
import { mayBeForeign, substituteFor, withoutForeign } from "./Parts.ts"

// Google's generateContent where client and upstream both speak it: bytes pass.

/** A model's path: fine-tuned ones have another collection. */
export const operationOf = (upstream: string, stream: boolean): string => {
  const name = upstream.includes("/") ? upstream : `models/${upstream}`
  return `${name}:${stream ? "streamGenerateContent?alt=sse" : "generateContent"}`
}

/** What is not Google's: of Conduit, and what the path says there. */
const ours = new Map(["conduit", "model", "stream"].map((name) => [name, null]))

/** The request as its model gets it: every byte as it came, but for members of ours and signatures of other models. */
export const contentText = (given: JsonObject, { upstream }: Forwarding): string => {
  const body = mayBeForeign(sourceOf(given)) ? withOwnSignatures(given, upstream) : given
  const json = sourceOf(body)
  const at = skipSpace(json, 0)
  const edits: Array<Edit> = []
  changeMembers(at, membersOf(json, at), ours, edits)
  return splice(json, edits)
}

const withOwnSignatures = (body: JsonObject, upstream: string): JsonObject => {
  const substitute = substituteFor(upstream)
  const contents = arrayOf(body["contents"]).map((content) =>
    isObject(content) && Array.isArray(content["parts"])
      ? {
          ...content,
          parts: content["parts"].flatMap((part: unknown): ReadonlyArray<unknown> =>
            isObject(part) ? withoutForeign(part, substitute) : [part]
          )
        }
      : content
  )
  return { ...body, contents }
}

/** The answer with the names by which the client knows it: feedback by its id, and the model's. */
export const mendedContent = (json: string, { id, model }: Label): string =>
  withMembers(
    json,
    new Map([
      ["modelVersion", JSON.stringify(model)],
      ["responseId", JSON.stringify(id)]
    ])
  )

/** What an answer, or a piece of one, says. */
export interface ContentSaid {
  /** Of the candidates in it, by their place; null for one that goes on. */
  readonly finishes: ReadonlyMap<number, string | null>
  readonly blockReason: string | null
  readonly characters: number
  readonly hasSubstance: boolean
  readonly callIds: ReadonlyArray<string>
  readonly servedModel: string | null
  readonly usage: JsonObject | null
  /** Why it is no answer: what should have been said is not there. */
  readonly broken: string | null
}

const lengthOf = (part: JsonObject): number => {
  const call = member(part, "functionCall")
  return (textOf(part["text"])?.length ?? 0) + (isObject(call) ? (JSON.stringify(call["args"])?.length ?? 0) : 0)
}

const hasData = (part: JsonObject): boolean =>
  Object.keys(part).some((name) => name !== "text" && name !== "thought" && name !== "thoughtSignature")

export const contentSaid = (body: JsonObject): ContentSaid => {
  const candidates = arrayOf(body["candidates"]).filter(isObject)
  const parts = candidates
    .flatMap(({ content }) => (isObject(content) ? arrayOf(content["parts"]) : []))
    .filter(isObject)
  const characters = parts.reduce((sum, part) => sum + lengthOf(part), 0)
  const broken = candidates.find(({ finishReason }) => stopReasonOf(String(finishReason)) === "broken")
  const { modelVersion, usageMetadata } = body
  return {
    finishes: new Map(
      candidates.map(({ finishReason, index }, at) => [typeof index === "number" ? index : at, textOf(finishReason)])
    ),
    blockReason: blockReasonOf(body),
    characters,
    hasSubstance: characters > 0 || parts.some(hasData),
    callIds: parts.flatMap((part) => {
      const call = member(part, "functionCall")
      return isObject(call) ? (textOf(call["id"]) ?? []) : []
    }),
    servedModel: textOf(modelVersion),
    usage: isObject(usageMetadata) ? usageMetadata : null,
    broken: broken === undefined ? null : brokenText(broken)
  }
}

const brokenText = ({ finishMessage, finishReason }: JsonObject): string => {
  const message = textOf(finishMessage)
  return `the model ended by ${String(finishReason)}${message === null ? "" : `: ${message.slice(0, 300)}`}`
}

/** A filter, of the prompt or of the answer. */
export const isRefused = ({ blockReason, finishes }: Pick<ContentSaid, "blockReason" | "finishes">): boolean =>
  blockReason !== null || [...finishes.values()].some((word) => word !== null && stopReasonOf(word) === "filter")

/** Nothing is said, though it stopped by itself. */
export const isEmpty = (said: Omit<ContentSaid, "callIds" | "servedModel" | "broken">): boolean =>
  !said.hasSubstance &&
  !isRefused(said) &&
  !(Number(said.usage?.["candidatesTokenCount"] ?? 0) > 0) &&
  [...said.finishes.values()].every((word) => word === null || stopReasonOf(word) === "end")

const failed = (reason: StreamFailure["reason"], detail: string): StreamFailure => ({ reason, error: null, detail })

/** Reads the body of an answer of status 2xx for a client of the same protocol; why it is no answer, if it is none. */
export const readContent = (json: string, label: Label): WholeAnswer | StreamFailure => {
  const body = parseJson(json)
  const error = errorIn(body)
  if (error !== null) return { reason: "reported", error, detail: error.message ?? "the provider reported an error" }
  if (!isObject(body)) return failed("bad_answer", "the answer is not a JSON object")
  const said = contentSaid(body)
  if (said.broken !== null) return failed("bad_answer", said.broken)
  if (said.finishes.size === 0 && said.blockReason === null) {
    return failed("bad_answer", "the answer has no candidates")
  }
  if (isEmpty(said)) return failed("empty", "the answer is empty")
  return { text: mendedContent(json, label), said: saidOf(body, said) }
}

const saidOf = (body: JsonObject, said: ContentSaid): Said => ({
  id: textOf(body["responseId"]),
  usage: said.usage,
  finishReason: said.blockReason ?? [...said.finishes.values()].at(-1) ?? null,
  servedModel: said.servedModel,
  isRefusal: isRefused(said),
  characters: said.characters,
  toolCallIds: said.callIds
})
