import { assert, describe, it } from "@effect/vitest"
import { clientFault, type FailedCall, readFault, statusWithin } from "../../../src/domain/routing/Fault.ts"
import { wordsOf } from "../../../src/domain/models/ErrorSaid.ts"

const openai = (message: string, more: object = {}) => JSON.stringify({ error: { message, ...more } })

const read = (status: number, body: string) => readFault(status, wordsOf(body))

const call = (reason: FailedCall["reason"], status: number | null, more: Partial<FailedCall> = {}): FailedCall => ({
  reason,
  status,
  said: null,
  retryAfterSeconds: null,
  ...more
})

describe("the table of faults", () => {
  it.each([
    [
      400,
      openai(
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        { code: "unsupported_parameter", param: "max_tokens" }
      ),
      "unsupported",
      null,
      "max_tokens"
    ],
    [
      400,
      openai("Unrecognized request argument supplied: parallel_tool_calls"),
      "unsupported",
      null,
      "parallel_tool_calls"
    ],
    [
      400,
      openai("Unsupported value: 'temperature' does not support 0.2 with this model.", {
        code: "unsupported_value",
        param: "temperature"
      }),
      "unsupported",
      null,
      "temperature"
    ],
    [
      422,
      '{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}',
      "unsupported",
      null,
      "stream_options"
    ],
    [400, openai("property 'parallel_tool_calls' is unsupported"), "unsupported", null, "parallel_tool_calls"],
    [
      400,
      openai("Invalid content type. image_url is only supported by certain models."),
      "unsupported",
      "vision",
      null
    ],
    [400, '{"object":"error","message":"This is not a multimodal model","code":400}', "unsupported", "vision", null],
    [404, openai("No endpoints found that support image input", { code: 404 }), "unsupported", "vision", null],
    [400, '{"error":"registry/x:7b does not support tools"}', "unsupported", "tools", null],
    [400, openai("This model does not support response_format json_schema"), "unsupported", "json_schema", null],
    [400, openai("logprobs are not supported with reasoning models"), "unsupported", "logprobs", null],
    [
      400,
      openai("This model's maximum context length is 8192 tokens. However, you requested 9000 tokens."),
      "context_length",
      null,
      null
    ],
    [400, openai("no", { code: "context_length_exceeded" }), "context_length", null, null],
    [413, openai("prompt is too long: 210000 tokens > 200000 maximum"), "context_length", null, null],
    [
      400,
      openai("input length and `max_tokens` exceed context limit: 199999 + 20000 > 200000"),
      "context_length",
      null,
      null
    ],
    [400, openai("Your credit balance is too low to access the Anthropic API."), "payment", null, null],
    [400, openai("`temperature` is deprecated for this model."), "unsupported", null, "temperature"],
    [400, openai("min_p: Extra inputs are not permitted"), "unsupported", null, "min_p"],
    // Wrong for every model: nothing that another one could do.
    [400, openai("Invalid schema for function 'f': 'oneOf' is not permitted"), "rejected", null, null],
    [400, openai("You uploaded an unsupported image. Please make sure your image is a png."), "rejected", null, null],
    [400, openai("messages: at least one message is required"), "rejected", null, null],
    [400, openai("The response was filtered", { code: "content_filter" }), "filtered", null, null],
    [
      400,
      '[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]',
      "unauthorized",
      null,
      null
    ],
    [401, "", "unauthorized", null, null],
    [402, "", "payment", null, null],
    [403, "", "forbidden", null, null],
    [404, openai("The model `x` does not exist"), "not_found", null, null],
    [409, "", "conflict", null, null],
    [429, openai("slow down"), "rate_limited", null, null],
    [429, openai("You exceeded your current quota", { code: "insufficient_quota" }), "quota", null, null],
    [500, "", "server_error", null, null],
    [503, "", "server_error", null, null],
    [504, "", "timeout", null, null]
  ] as const)("reads %s %s", (status, body, reason, lacks, parameter) => {
    assert.deepStrictEqual(read(status, body), { reason, lacks, parameter })
  })

  it.each([
    ['{"error":{"code":429,"message":"x"}}', 429],
    ['{"error":{"type":"rate_limit_error","message":"x"}}', 429],
    ['{"error":{"code":"insufficient_quota"}}', 429],
    ['{"error":{"code":"invalid_api_key"}}', 401],
    ['{"error":{"code":"context_length_exceeded"}}', 400],
    ['{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', 529],
    ['{"error":"x"}', 500]
  ])("knows the status of %s inside an answer of 200", (body, status) => {
    assert.strictEqual(statusWithin(wordsOf(body)), status)
  })

  it("tells the upstream's status and words of a model that the client named", () => {
    const words = { message: "no", type: "t", code: "c", param: "p", status: null }
    for (const [reason, status] of [
      ["rejected", 422],
      ["payment", 402],
      ["forbidden", 403],
      ["not_found", 404],
      ["quota", 429]
    ] as const) {
      assert.deepStrictEqual(clientFault([call(reason, status, { said: words })], true, false), {
        status,
        type: "t",
        code: "c",
        param: "p",
        message: "no",
        shouldRetry: false,
        retryAfterSeconds: null
      })
    }
    assert.deepInclude(clientFault([call("conflict", 409, { said: words })], true, false), {
      status: 409,
      shouldRetry: null
    })
  })

  it("tells a context that is too long by OpenAI's code, however the upstream spells it", () => {
    const words = { message: "prompt is too long", type: null, code: null, param: null, status: null }
    assert.deepInclude(clientFault([call("context_length", 400, { said: words })], true, false), {
      status: 400,
      code: "context_length_exceeded"
    })
  })

  it("says 4xx where Conduit chose only if all refused, and may not say it while one is out of reach", () => {
    const unable = call("unsupported", 400)
    assert.strictEqual(clientFault([unable, call("rejected", 400)], false, false).status, 400)
    assert.strictEqual(clientFault([unable, call("server_error", 500)], false, false).status, 502)
    assert.deepInclude(clientFault([unable], false, true), { status: 503, code: "circuits_open", shouldRetry: null })
    assert.strictEqual(clientFault([call("not_found", 404)], false, false).status, 502)
  })

  it("keeps the first wait of several limits, and that of an upstream that is overloaded", () => {
    const limited = (seconds: number) => call("rate_limited", 429, { retryAfterSeconds: seconds })
    assert.deepInclude(clientFault([limited(9), limited(7)], false, false), { status: 429, retryAfterSeconds: 7 })
    const busy = call("server_error", 503, { retryAfterSeconds: 12 })
    assert.deepInclude(clientFault([busy], true, false), { status: 503, retryAfterSeconds: 12, shouldRetry: null })
  })

  it("does not let a client repeat what only the operator can mend, nor read about the operator's key", () => {
    assert.deepInclude(clientFault([call("unauthorized", 401)], true, false), {
      status: 502,
      message: null,
      shouldRetry: false
    })
  })
})
