import type { Capability } from "../routing/Capability.ts"
import type { SpokenName } from "./canonical/Protocol.ts"

interface Kind {
  readonly protocol: SpokenName
  /** What there are no words for in its protocol, whatever its models can do. */
  readonly lacks: ReadonlyArray<Capability>
  /** Where its models are listed, with the query that has all of them on one page. */
  readonly modelList: string | null
  /** Where vectors are made, in OpenAI's form. */
  readonly embeddings: string
}

/** What a provider of `conduit.yaml` can be. */
export const providerKinds = {
  "openai-compatible": { protocol: "chat", lacks: ["native_tools"], modelList: "models", embeddings: "embeddings" },
  "openai-responses": {
    protocol: "responses",
    lacks: ["audio", "logprobs", "choices"],
    modelList: "models",
    embeddings: "embeddings"
  },
  anthropic: {
    protocol: "messages",
    lacks: ["audio", "logprobs", "choices"],
    modelList: "models",
    embeddings: "embeddings"
  },
  gemini: {
    protocol: "gemini",
    lacks: ["logprobs", "choices"],
    modelList: "models?pageSize=1000",
    embeddings: "openai/embeddings"
  },
  bedrock: {
    protocol: "converse",
    lacks: ["audio", "logprobs", "choices", "native_tools"],
    modelList: null,
    embeddings: "openai/v1/embeddings"
  }
} as const satisfies Readonly<Record<string, Kind>>

export type ProviderKind = keyof typeof providerKinds

const isProviderKind = (name: string): name is ProviderKind => Object.hasOwn(providerKinds, name)

export const providerKindNames: ReadonlyArray<ProviderKind> = Object.keys(providerKinds).filter(isProviderKind)
