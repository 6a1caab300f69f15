import * as Fs from "node:fs"
import * as Path from "node:path"

// The clients, the versions that they are pinned to, and what each of them does wrong by itself. A flaw is held to: where
// the client mends it, or errs in another way, the run fails.

export interface Flaw {
  /** Of the cases of this name, what is seen. */
  readonly problem: RegExp
  /** What the client does, in words for its users. */
  readonly why: string
}

export interface Client {
  /** Stands in models' ids and on the command line. */
  readonly id: string
  readonly title: string
  readonly language: "JavaScript" | "Python" | "Go" | "Java" | "Rust"
  /** Where its version is pinned: a file of the project, and the version in it. */
  readonly pinned: readonly [file: string, version: RegExp]
  readonly flaws: Readonly<Record<string, Flaw>>
}

export const root = Path.resolve(import.meta.dirname, "../..")

const javascript = (id: string, name: string, flaws: Client["flaws"] = {}, title = `\`${name}\``): Client => ({
  id,
  title,
  language: "JavaScript",
  pinned: ["package.json", new RegExp(`"${name}": "(?:npm:.+@)?([^"@]+)"`)],
  flaws
})

const python = (
  id: string,
  folder: string,
  name: string,
  flaws: Client["flaws"] = {},
  title = `\`${name}\``
): Client => ({
  id,
  title,
  language: "Python",
  pinned: [`test/clients/python/${folder}/requirements.txt`, new RegExp(`^${name}(?:\\[.*\\])?==(.+)$`, "m")],
  flaws
})

/** `id` is the folder; the newest major version of a module has its number in its path. */
const go = (id: string, module: string, title: string, flaws: Client["flaws"] = {}): Client => ({
  id,
  title: `\`${title}\``,
  language: "Go",
  pinned: [`test/clients/go/${id}/go.mod`, new RegExp(`^(?:require |\\t)${module} v(\\S+)`, "m")],
  flaws
})

const java = (id: string, artifact: string, flaws: Client["flaws"] = {}): Client => ({
  id,
  title: `\`${artifact}\``,
  language: "Java",
  pinned: [
    `test/clients/java/${id}/pom.xml`,
    new RegExp(`<artifactId>${artifact}</artifactId>\\s*<version>(.+)</version>`)
  ],
  flaws
})

const mistralToolChunks: Flaw = {
  problem: /ZodError.*"name"/s,
  why: "its schema wants the function's name in every chunk of a streamed tool call, as only Mistral's own service sends it; whole answers work"
}

export const clients: ReadonlyArray<Client> = [
  javascript("openai-4", "openai4", {}, "`openai`"),
  javascript("openai-5", "openai5", {}, "`openai`"),
  javascript("openai-6", "openai", {}, "`openai`"),
  javascript("mistralai", "@mistralai/mistralai", {
    "the counts of a stream": {
      problem: /usage is null/,
      why: "it has no field to ask for the counts of a stream, which Mistral's own service always sends"
    },
    "a tool in a stream": mistralToolChunks,
    "two calls in a stream": mistralToolChunks,
    "a lean tool in a stream": mistralToolChunks,
    "an error in a stream": {
      problem: /invalid_type/,
      why: "an error in a stream is an error of its schema check, without the words of the upstream"
    }
  }),
  javascript("langchain-js", "@langchain/openai"),
  javascript("ai-compatible", "@ai-sdk/openai-compatible", {}, "`ai` with `@ai-sdk/openai-compatible`"),
  javascript("ai-openrouter", "@openrouter/ai-sdk-provider", {}, "`ai` with `@openrouter/ai-sdk-provider`"),
  python("openai-python", "openai", "openai"),
  python("pydantic-ai", "pydantic-ai", "pydantic-ai-slim"),
  python("litellm", "litellm", "litellm"),
  python("llama-index", "llama-index", "llama-index-llms-openai-like"),
  python("openai-python-responses", "openai-responses", "openai", {}, "`openai` by Responses"),
  python("openai-agents", "openai-agents", "openai-agents"),
  python("anthropic-python-1", "anthropic-1", "anthropic"),
  python("anthropic-python-2", "anthropic-2", "anthropic"),
  python("langchain-anthropic", "langchain-anthropic", "langchain-anthropic"),
  python("google-genai-2", "google-genai-2", "google-genai"),
  python("google-genai-3", "google-genai-3", "google-genai"),
  go("openai-go-1", "github.com/openai/openai-go", "openai-go"),
  go("openai-go-3", "github.com/openai/openai-go/v3", "openai-go/v3"),
  go("openai-go-responses", "github.com/openai/openai-go/v3", "openai-go/v3 responses"),
  go("anthropic-go", "github.com/anthropics/anthropic-sdk-go", "anthropic-sdk-go"),
  go("go-openai", "github.com/sashabaranov/go-openai", "go-openai"),
  go("langchaingo", "github.com/tmc/langchaingo", "langchaingo", {
    "an error in a stream": {
      problem: /unexpected EOF/,
      why: "it drops an error in a stream, and reports only that Conduit breaks the connection behind it, without the words of the upstream"
    }
  }),
  go("genkit", "github.com/firebase/genkit/go", "genkit/go", {
    "structured output": {
      problem: /not valid JSON/,
      why: "the plugin `compat_oai` sends no `response_format` for an output type; give one in the configuration of the call, an `openai.ChatCompletionNewParams`, in which `StreamOptions` asks for the counts of a stream too"
    }
  }),
  java("openai-java", "openai-java"),
  java("anthropic-java", "anthropic-java"),
  java("langchain4j", "langchain4j-open-ai"),
  java("spring-ai", "spring-ai-openai"),
  {
    id: "async-openai",
    title: "`async-openai`",
    language: "Rust",
    pinned: ["test/clients/rust/Cargo.toml", /^async-openai = .*version = "=([^"]+)"/m],
    flaws: {}
  },
  {
    id: "rig-core",
    title: "`rig-core`",
    language: "Rust",
    pinned: ["test/clients/rust/Cargo.toml", /^rig-core = .*version = "=([^"]+)"/m],
    flaws: {}
  }
]

export const versionOf = ({ id, pinned: [file, pattern] }: Client): string => {
  const version = pattern.exec(Fs.readFileSync(Path.join(root, file), "utf8"))?.[1]
  if (version === undefined) throw new Error(`${file} has no version of ${id}`)
  return version
}
