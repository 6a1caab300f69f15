import { assert, describe, it } from "@effect/vitest"
import { errorIn, withoutSecrets, wordsOf } from "../../../src/domain/models/ErrorSaid.ts"

const said = (body: unknown) => {
  const { status: _, ...words } = wordsOf(typeof body === "string" ? body : JSON.stringify(body))
  return words
}

const all = { message: "no", type: "t", code: "c", param: "p" }
const only = (message: string | null, more: Partial<typeof all> = {}) => ({
  message,
  type: null,
  code: null,
  param: null,
  ...more
})

describe("what an upstream says of an error", () => {
  it.each([
    ["OpenAI", { error: all }, all],
    ["a text under error", { error: "no" }, only("no")],
    ["flat, vLLM", { object: "error", ...all }, all],
    ["flat with a text", { message: "no" }, only("no")],
    ["a list, Gemini", [{ error: { code: 400, message: "no", status: "INVALID" } }], only("no", { type: "INVALID" })],
    [
      "Google's details",
      { error: { code: 400, message: "no", details: [{ "@type": "x" }, { reason: "API_KEY_INVALID" }] } },
      only("no", { code: "API_KEY_INVALID" })
    ],
    ["Anthropic", { type: "error", error: { type: "t", message: "no" } }, only("no", { type: "t" })],
    ["FastAPI, a text", { detail: "no" }, only("no")],
    ["FastAPI, an object", { detail: { message: "no", code: "c" } }, only("no", { code: "c" })],
    [
      "FastAPI, a list",
      { detail: [{ type: "extra_forbidden", loc: ["body", "stream_options"], msg: "no" }] },
      only("no", { type: "extra_forbidden", param: "stream_options" })
    ],
    [
      "Mistral's validator",
      { object: "error", message: { detail: [{ loc: ["body", "n"], msg: "no" }] } },
      only("no", { param: "n" })
    ],
    ["errors", { errors: [{ message: "no", code: "c" }] }, only("no", { code: "c" })],
    ["Bedrock", { __type: "ThrottlingException", message: "no" }, only("no", { type: "ThrottlingException" })],
    [
      "a gateway's raw",
      {
        error: {
          message: "Provider returned error",
          code: 400,
          metadata: { raw: '{"error":{"message":"no","code":"c"}}' }
        }
      },
      only("no", { code: "c" })
    ],
    ["JSON inside the message", { error: { message: '{"error":{"message":"no"}}' } }, only("no")],
    ["plain text", "no\n", only("no")],
    ["a page for people", "<html>no</html>", only(null)],
    ["nothing", "", only(null)],
    ["null", { error: null }, only(null)]
  ])("is read where it stands: %s", (_, body, words) => {
    assert.deepStrictEqual(said(body), words)
  })

  it("names the status that the body names, where that is an error's", () => {
    assert.strictEqual(wordsOf('{"error":{"code":429,"message":"x"}}').status, 429)
    assert.isNull(wordsOf('{"error":{"code":7,"message":"x"}}').status)
  })

  it("is one line of at most 500 characters, without the secrets, not half of one at the cut", () => {
    const key = "sk-0123456789abcdef"
    const shown = (error: object) => withoutSecrets(wordsOf(JSON.stringify({ error })), [key])
    const { message } = shown({ message: `a\u0000\n${key} ${"x".repeat(480)} ${key}` })
    assert.lengthOf(message ?? "", 500)
    assert.strictEqual(message?.slice(0, 14), "a [redacted] x")
    assert.notInclude(message, "sk-01")
    assert.strictEqual(shown({ message: "key", code: key }).code, "[redacted]")
  })

  it("ends in bodies that are nested without end", () => {
    let body: unknown = "no"
    for (let i = 0; i < 100; i++) body = { error: body }
    assert.deepStrictEqual(said(body), only(null))
  })

  it("is found inside an answer of 200, and an error of null is none", () => {
    assert.isNull(errorIn({ error: null, choices: [] }))
    assert.isNull(errorIn({ choices: [], message: "hello" }))
    assert.strictEqual(errorIn({ error: "no", choices: [] })?.message, "no")
    assert.strictEqual(errorIn({ object: "error", message: "no" })?.message, "no")
  })
})
