// A client of openapi-fetch with the types that openapi-typescript made of /openapi.json: an answer, feedback by its kind,
// an error, a stream.
import createClient from "openapi-fetch"
import { createInterface } from "node:readline"
import type { components, paths } from "./schema.js"

interface Told {
  readonly case: string
  readonly do: "text" | "stream" | "feedback"
  readonly model: string
  readonly key: string
  readonly usage: boolean
}

const question = "What is the weather in Paris? Use the tool."
const base = process.argv[2]!.replace(/\/v1$/, "")
const client = ({ key }: Told) => createClient<paths>({ baseUrl: base, headers: { authorization: `Bearer ${key}` } })
const body = ({ model, usage }: Told, stream: boolean) => ({
  model,
  messages: [{ role: "user", content: question }],
  stream,
  ...(usage ? { stream_options: { include_usage: true } } : {})
})
const described = ({ error }: components["schemas"]["Error"], status: number) => ({
  error: { class: error.code, status, message: error.message }
})
const counts = (usage: components["schemas"]["Usage"] | null | undefined) =>
  usage ? { input: usage.prompt_tokens, output: usage.completion_tokens } : null

const text = async (told: Told) => {
  const { data, error, response } = await client(told).POST("/v1/chat/completions", { body: body(told, false) })
  if (error !== undefined) return described(error, response.status)
  if (!("choices" in data)) throw new Error("not an answer")
  const [choice] = data.choices
  return { text: choice?.message.content, finish: choice?.finish_reason, usage: counts(data.usage) }
}

const stream = async (told: Told) => {
  const { data, error, response } = await client(told).POST("/v1/chat/completions", {
    body: body(told, true),
    parseAs: "stream"
  })
  if (error !== undefined) return described(error, response.status)
  const got = { text: "", finish: null as string | null, usage: null as ReturnType<typeof counts> }
  const decoder = new TextDecoder()
  let rest = ""
  for await (const piece of data ?? []) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) {
      const event = /^data: ?(\{.*)$/.exec(line)?.[1]
      if (event === undefined) continue
      const chunk: components["schemas"]["ChatCompletionChunk"] = JSON.parse(event)
      got.usage = counts(chunk.usage) ?? got.usage
      got.text += chunk.choices[0]?.delta.content ?? ""
      got.finish = chunk.choices[0]?.finish_reason ?? got.finish
    }
  }
  return got
}

const feedback = async (told: Told) => {
  const { response } = await client(told).POST("/v1/chat/completions", { body: body(told, false) })
  const thumbs: components["schemas"]["FeedbackThumbs"] = {
    kind: "thumbs",
    value: "up",
    decision_id: response.headers.get("x-conduit-decision-id") ?? ""
  }
  const { data, error } = await client(told).POST("/v1/feedback", { body: thumbs })
  return error === undefined ? { value: data.status } : described(error, 0)
}

for await (const line of createInterface({ input: process.stdin })) {
  const told: Told = JSON.parse(line)
  const got = await { text, stream, feedback }[told.do](told)
  process.stdout.write(`${JSON.stringify({ ...got, case: told.case })}\n`)
}
