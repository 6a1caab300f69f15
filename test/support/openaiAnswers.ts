import { assert } from "@effect/vitest"
import type OpenAI from "openai"

/** What the `openai` client is asked and answered. */
export const question = (content: string) => [{ role: "user" as const, content }]

export const weather = {
  type: "function" as const,
  function: {
    name: "weather",
    description: "the weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
  }
}

type Body = OpenAI.ChatCompletionCreateParamsNonStreaming

/** The message of a completion, whole or as the client puts it together from its stream. */
export const messageOf = async (client: OpenAI, body: Body, stream: boolean) => {
  const { choices } = stream
    ? await client.chat.completions.stream({ ...body, stream: true }).finalChatCompletion()
    : await client.chat.completions.create(body)
  return choices[0]?.message
}

/** What a call is refused with. */
export const failureOf = (asked: Promise<unknown>): Promise<any> =>
  asked.then(
    () => assert.fail("it was answered"),
    (failed: unknown) => failed
  )

/** The events of a body, as they stand on the wire. */
export const wireEvents = (text: string) =>
  text
    .split("\n\n")
    .filter((frame) => frame.includes("data: "))
    .map((frame) => ({
      name: /^event: (.*)$/m.exec(frame)?.[1],
      data: JSON.parse(/^data: (.*)$/m.exec(frame)?.[1] ?? "null")
    }))
