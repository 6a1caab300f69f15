import * as Either from "effect/Either"
import type { IncomingHttpHeaders } from "node:http"
import { chatOf, completionChunk } from "../../domain/models/Completions.ts"
import { isObject } from "../../domain/models/Json.ts"
import type { Preference } from "../../domain/routing/Weights.ts"
import { CompletionsRequest } from "../../services/api/Requests.ts"
import type { UnknownModel } from "../../services/routing/Router.ts"
import { decoder } from "./Body.ts"
import { InvalidRequest } from "./HttpErrors.ts"
import { fromChat, type RoutingInput } from "./RoutingInput.ts"
import { chatForm, type StreamForm } from "./SseSink.ts"

const decode = decoder(CompletionsRequest)

/** A request for a legacy completion, as the chat that is routed. */
export const fromCompletions = (
  input: unknown,
  headers: IncomingHttpHeaders,
  policy: Preference
): Either.Either<RoutingInput, InvalidRequest | UnknownModel> =>
  Either.flatMap(decode(input), () =>
    Either.flatMap(
      Either.mapLeft(
        chatOf(isObject(input) ? input : {}),
        ({ detail, param }) => new InvalidRequest({ param, detail })
      ),
      (chat) => fromChat(chat, headers, policy)
    )
  )

/** Chunks of a chat told as those of a completion. */
export const completionsForm: StreamForm = {
  ...chatForm,
  framed: (payload) => chatForm.framed(completionChunk(payload))
}
