import type * as Clock from "effect/Clock"
import { idPrefixes } from "../../domain/models/canonical/Conversation.ts"
import type { SpokenName } from "../../domain/models/canonical/Protocol.ts"
import type { Label } from "../../domain/models/Form.ts"
import { isObject } from "../../domain/models/Json.ts"
import type { Model } from "../../domain/routing/Model.ts"
import type { CallLimits, ChatBody } from "../../services/models/LanguageModels.ts"

/** How many choices the request asks for. */
export const choicesAsked = ({ n }: ChatBody): number => (typeof n === "number" && Number.isInteger(n) && n > 0 ? n : 1)

/** How the caller of this request knows its answer. */
export const labelOf = (
  model: Model,
  body: ChatBody,
  { answerId, operation }: CallLimits,
  clock: Clock.Clock,
  protocol: SpokenName = "chat"
): Label => {
  const createdMillis = clock.unsafeCurrentTimeMillis()
  const options = body["stream_options"]
  const label = {
    id: `${operation === undefined ? idPrefixes[protocol === "converse" ? "chat" : protocol] : "embd-"}${answerId ?? createdMillis}`,
    model: model.id,
    createdSeconds: Math.floor(createdMillis / 1000),
    withUsage: isObject(options) && options["include_usage"] === true
  }
  return protocol === "responses" ? { ...label, ...keptBy(model, body) } : label
}

/** Responses are kept by their upstream unless the request says that they are not. */
const keptBy = ({ provider }: Model, body: ChatBody): Pick<Label, "keeps" | "previousId" | "provider"> => {
  const previous = body["previous_response_id"]
  return {
    provider,
    keeps: body["store"] !== false,
    ...(typeof previous === "string" ? { previousId: previous } : {})
  }
}
