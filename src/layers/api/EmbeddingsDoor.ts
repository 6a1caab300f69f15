import * as Either from "effect/Either"
import type { IncomingHttpHeaders } from "node:http"
import { type EncodingFormat, inFormat } from "../../domain/models/Embeddings.ts"
import { isObject } from "../../domain/models/Json.ts"
import { aliasMeantBy } from "../../domain/routing/Alias.ts"
import type { Model } from "../../domain/routing/Model.ts"
import { meantBy } from "../../domain/routing/ModelName.ts"
import { textTokens } from "../../domain/routing/Tokens.ts"
import type { Preference } from "../../domain/routing/Weights.ts"
import { EmbeddingsRequest } from "../../services/api/Requests.ts"
import type { Catalog } from "../../services/models/ModelCatalog.ts"
import type { Answer, UnknownModel } from "../../services/routing/Router.ts"
import { decoder } from "./Body.ts"
import { InvalidRequest } from "./HttpErrors.ts"
import { fromChat, type RoutingInput } from "./RoutingInput.ts"

// Embeddings are routed among the models of one space: vectors of different spaces cannot be compared, and are never mixed.

export interface EmbeddingsInput extends RoutingInput {
  readonly format: EncodingFormat
}

type Names = Pick<Catalog, "aliases" | "models" | "providers">

const decode = decoder(EmbeddingsRequest)

export const fromEmbeddings = (
  input: unknown,
  headers: IncomingHttpHeaders,
  policy: Preference,
  names: Names
): Either.Either<EmbeddingsInput, InvalidRequest | UnknownModel> =>
  Either.gen(function* () {
    const { conduit, encoding_format: format, input: texts, model } = yield* decode(input)
    const { allowed, pinned } = yield* meant(names, model ?? null)
    // Its options, and what routing looks at, are those of a chat.
    const { request } = yield* fromChat(
      {
        model: pinned,
        messages: [{ role: "user", content: textOf(texts) }],
        ...(conduit === undefined ? {} : { conduit })
      },
      headers,
      policy
    )
    const stated = request.constraints.allowed_models
    const both = stated === undefined ? allowed : allowed.filter((id) => stated.includes(id))
    return {
      body: isObject(input) ? input : {},
      format: format ?? "float",
      request: {
        ...request,
        operation: "embeddings",
        needs: [],
        inputTokens: tokensOf(texts),
        constraints: { ...request.constraints, allowed_models: both },
        // What a session was answered by is a model of chats.
        sessionId: null
      }
    }
  })

/** The model that is asked for, and those of its space; or why it is not known which space is meant. */
const meant = (
  { aliases, models, providers }: Names,
  name: string | null
): Either.Either<{ readonly pinned: string; readonly allowed: ReadonlyArray<string> }, InvalidRequest> => {
  const embedding = models.filter((model) => model.embeddings !== undefined)
  const isModel = (id: string) => models.some((model) => model.id === id)
  const isProvider = (id: string) => providers.has(id)
  const asked = name === null ? null : meantBy(name, isModel, isProvider)
  const ofSpace = (space: string) => embedding.filter(({ embeddings }) => embeddings?.space === space)
  if (asked !== null && !isModel(asked)) {
    const alias = aliasMeantBy(aliases, asked, isProvider)
    const ids = alias === null ? null : alias.model !== null ? [alias.model] : alias.models
    if (ids !== null) {
      return oneSpace(
        embedding.filter(({ id }) => ids.includes(id)),
        asked
      )
    }
    const named = ofSpace(asked)
    if (named.length > 0) return oneSpace(named, "auto")
  }
  if (asked === null) return oneSpace(embedding, "auto")
  const pinned = embedding.find(({ id }) => id === asked)
  return Either.right({ pinned: asked, allowed: pinned === undefined ? [asked] : idsOf(ofSpace(spaceOf(pinned))) })
}

const spaceOf = ({ embeddings }: Model): string => embeddings?.space ?? ""
const idsOf = (models: ReadonlyArray<Model>): ReadonlyArray<string> => models.map(({ id }) => id)

const oneSpace = (models: ReadonlyArray<Model>, pinned: string) => {
  const spaces = [...new Set(models.map(spaceOf))]
  return spaces.length <= 1
    ? Either.right({ pinned, allowed: idsOf(models) })
    : Either.left(
        new InvalidRequest({
          param: "model",
          detail: `vectors of different spaces are never mixed: name one of ${spaces.join(", ")}, or a model`
        })
      )
}

type Input = (typeof EmbeddingsRequest.Type)["input"]

/** What features are taken from. */
const textOf = (input: Input): string =>
  typeof input === "string" ? input : input.map((one) => (typeof one === "string" ? one : "")).join("\n")

const tokensOf = (input: Input): number =>
  typeof input === "string"
    ? Math.ceil(textTokens(input))
    : Math.ceil(
        input.reduce<number>(
          (sum, one) => sum + (typeof one === "string" ? textTokens(one) : typeof one === "number" ? 1 : one.length),
          0
        )
      )

/** The body of an answer, its vectors in the form that was asked for. */
export const embeddingsText = ({ text }: Answer, { format }: EmbeddingsInput): string => inFormat(text, format)
