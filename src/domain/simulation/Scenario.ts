import { isObject, type JsonObject } from "../models/Json.ts"

// What upstreams do on the wire besides the plain protocol, as a table: each scenario says what it changes of an answer
// that is otherwise whole. The texts are for the documentation. One table, since the documentation and the schema of the
// mock's script are made from its keys.

/** A piece of a body, and how long nothing comes before it. */
export interface Frame {
  readonly text: string
  readonly waitMs?: number
}

export interface ErrorAnswer {
  readonly status: number
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface Scenario {
  readonly about: string
  /** Instead of an answer; null where the request is fine. */
  readonly refuses?: (body: JsonObject) => ErrorAnswer | null
  readonly headers?: Readonly<Record<string, string>>
  readonly coding?: "gzip" | "deflate" | "deflate-raw" | "br"
  /** Each chunk of a stream; null leaves it out. */
  readonly chunk?: (chunk: JsonObject) => JsonObject | null
  /** A whole answer. */
  readonly answer?: (answer: JsonObject) => unknown
  /** The events of a stream, `[DONE]` included, or the one piece of a whole answer. */
  readonly frames?: (frames: ReadonlyArray<Frame>, stream: boolean) => ReadonlyArray<Frame>
  /** The body does not end: the connection breaks (`cut`), or stays open without a byte (`open`). */
  readonly end?: "cut" | "open"
  /** A whole answer where a stream was asked for, and a stream where a whole answer was. */
  readonly otherForm?: boolean
}

const done: Frame = { text: "data: [DONE]\n\n" }
const event = (payload: unknown): Frame => ({ text: `data: ${JSON.stringify(payload)}\n\n` })
const isDone = ({ text }: Frame) => text === done.text
const withoutDone = (frames: ReadonlyArray<Frame>) => frames.filter((frame) => !isDone(frame))

/** Behind the role and the first token. */
const afterFirst = (frames: ReadonlyArray<Frame>, ...more: ReadonlyArray<Frame>) => [
  ...frames.slice(0, 2),
  ...more,
  ...frames.slice(2)
]

const choicesOf = (body: JsonObject, change: (choice: JsonObject) => JsonObject): JsonObject => ({
  ...body,
  choices: (Array.isArray(body["choices"]) ? body["choices"] : []).map((choice: unknown) =>
    isObject(choice) ? change(choice) : choice
  )
})
const without = (body: JsonObject, ...names: ReadonlyArray<string>): JsonObject =>
  Object.fromEntries(Object.entries(body).filter(([name]) => !names.includes(name)))

const finished = (reason: (word: unknown) => unknown) => (body: JsonObject) =>
  choicesOf(body, (choice) => ({ ...choice, finish_reason: reason(choice["finish_reason"]) }))
const both = (change: (body: JsonObject) => JsonObject): Pick<Scenario, "chunk" | "answer"> => ({
  chunk: change,
  answer: change
})

const message = "the simulated upstream gave up"
/** A stream that breaks after its first token by this event; a whole answer that is this body. */
const breaking = (about: string, text: string, body: unknown): Scenario => ({
  about,
  answer: () => body,
  frames: (frames, stream) => (stream ? [...frames.slice(0, 2), { text }] : frames)
})
const breakingBy = (about: string, body: unknown) => breaking(about, event(body).text, body)

const refusing = (about: string, when: (body: JsonObject) => boolean, error: JsonObject, status = 400): Scenario => ({
  about,
  refuses: (body) => (when(body) ? { status, body: JSON.stringify({ error }) } : null)
})
const unsupported = (param: string) => ({
  message: `Unsupported parameter: '${param}' is not supported with this model.`,
  type: "invalid_request_error",
  code: "unsupported_parameter",
  param
})
const has = (name: string) => (body: JsonObject) => body[name] !== undefined && body[name] !== null
const hasPart = (type: string) => (body: JsonObject) =>
  JSON.stringify(body["messages"] ?? null).includes(`"type":"${type}"`)

const always =
  (status: number, error: unknown, headers: Readonly<Record<string, string>> = {}): (() => ErrorAnswer) =>
  () => ({ status, body: JSON.stringify(error), headers })

const counts = (body: JsonObject, usage: JsonObject): JsonObject =>
  isObject(body["usage"]) ? { ...body, usage: { ...body["usage"], ...usage } } : body

/** Each text behind a thought. */
const inParts = (body: JsonObject): JsonObject =>
  choicesOf(body, (choice) => {
    const content = isObject(choice["message"]) ? "message" : "delta"
    const told = choice[content]
    if (!isObject(told) || typeof told["content"] !== "string" || told["content"] === "") return choice
    const thought = { type: "thinking", thinking: [{ type: "text", text: "hm " }] }
    return { ...choice, [content]: { ...told, content: [thought, { type: "text", text: told["content"] }] } }
  })

const pieces = (text: string, size: number): ReadonlyArray<string> =>
  text.match(new RegExp(`[^]{1,${size}}`, "g")) ?? []

const callsOf = (body: JsonObject): JsonObject =>
  choicesOf(body, (choice) => {
    const content = isObject(choice["message"]) ? "message" : "delta"
    const told = choice[content]
    if (!isObject(told) || !Array.isArray(told["tool_calls"])) return choice
    return { ...choice, [content]: { ...told, tool_calls: told["tool_calls"].map(leanCall) } }
  })
const leanCall = (call: unknown) => (isObject(call) ? without(call, "id", "type", "index") : call)

const lean = (body: JsonObject): JsonObject => {
  const bare = choicesOf(callsOf(without(body, "id", "object", "created")), (choice) => {
    const told = without(choice, "index", "finish_reason", "logprobs")
    const content = isObject(told["message"]) ? "message" : "delta"
    const inner = told[content]
    return { ...told, [content]: isObject(inner) ? without(inner, "role", "refusal") : inner }
  })
  return isObject(bare["usage"]) ? { ...bare, usage: without(bare["usage"], "total_tokens") } : bare
}

const parsedArguments = (call: unknown) => {
  const called = isObject(call) ? call["function"] : undefined
  if (!isObject(call) || !isObject(called) || typeof called["arguments"] !== "string") return call
  return { ...call, function: { ...called, arguments: JSON.parse(called["arguments"]) } }
}
const illTyped = (body: JsonObject): JsonObject => ({
  ...choicesOf(counts(body, { total_tokens: 7.5 }), (choice) => {
    const told = choice["message"]
    return isObject(told) && Array.isArray(told["tool_calls"])
      ? { ...choice, message: { ...told, tool_calls: told["tool_calls"].map(parsedArguments) } }
      : choice
  }),
  id: 42,
  created: 1_760_000_000.25,
  service_tier: "on_demand"
})

const emptied = (body: JsonObject): JsonObject =>
  choicesOf(counts(body, { completion_tokens: 0 }), (choice) => ({
    ...choice,
    ...(isObject(choice["message"]) ? { message: { role: "assistant", content: null } } : { delta: {} })
  }))

const runningCounts = (chunk: JsonObject): JsonObject =>
  "usage" in chunk ? chunk : { ...chunk, usage: { prompt_tokens: 9, completion_tokens: 1, total_tokens: 10 } }

/** The last event with choices gets what the event behind it says of the counts. */
const countsOnFinish = (frames: ReadonlyArray<Frame>, place: (usage: unknown) => JsonObject): ReadonlyArray<Frame> => {
  const parsed = frames.map(({ text }): JsonObject => (text.startsWith("data: {") ? JSON.parse(text.slice(6)) : {}))
  const usage = parsed.findLast((chunk) => isObject(chunk["usage"]))?.["usage"]
  return frames.flatMap((frame, i) => {
    const chunk = parsed[i] ?? {}
    if (isObject(chunk["usage"])) return []
    const hasFinish = frame.text.includes('"finish_reason":"')
    return usage !== undefined && hasFinish ? [event({ ...chunk, ...place(usage) })] : [frame]
  })
}

const callsIn = (told: unknown): ReadonlyArray<unknown> =>
  isObject(told) && Array.isArray(told["tool_calls"]) ? told["tool_calls"] : []

/** A call like it, with an id and a place of its own. */
const anotherCall = (call: unknown): unknown =>
  isObject(call)
    ? {
        ...call,
        ...("id" in call ? { id: `${String(call["id"])}_2` } : {}),
        ...("index" in call ? { index: 1 } : {})
      }
    : call

/** Every call of a whole answer comes twice. */
const twice = (answer: JsonObject): JsonObject =>
  choicesOf(answer, (choice) => {
    const told = choice["message"]
    const calls = callsIn(told)
    if (!isObject(told) || calls.length === 0) return choice
    return { ...choice, message: { ...told, tool_calls: [...calls, ...calls.map(anotherCall)] } }
  })

/** The chunks of a call come again as those of a second one, before the finish reason. */
const callsTwice = (frames: ReadonlyArray<Frame>): ReadonlyArray<Frame> => {
  const ofCalls = frames.filter(({ text }) => text.includes('"tool_calls":['))
  const last = ofCalls.at(-1)
  const again = ofCalls.map(({ text }) =>
    event(
      choicesOf(JSON.parse(text.slice("data: ".length)), (choice) => ({
        ...choice,
        delta: { tool_calls: callsIn(choice["delta"]).map(anotherCall) }
      }))
    )
  )
  return frames.flatMap((frame) => (frame === last ? [frame, ...again] : [frame]))
}

const flood = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`x-flood-${i}`, "f".repeat(1000)]))
const longSilenceMs = 3_600_000
const halfMinuteMs = 31_000

/** Whole, because it is a table: one row a scenario. */
const table = {
  // Ends
  late_done: {
    about: "`[DONE]` comes three seconds after everything else",
    frames: (frames) => [...withoutDone(frames), { ...done, waitMs: 3000 }]
  },
  open_end: {
    about: "after the finish reason and the counts come only comments, and the body does not end",
    frames: (frames) => [
      ...withoutDone(frames),
      ...Array.from({ length: 600 }, () => ({ text: ": ping\n\n", waitMs: 100 }))
    ],
    end: "open"
  },
  cut_after_finish: { about: "the connection breaks after the finish reason", frames: withoutDone, end: "cut" },
  no_finish: {
    about: "no finish reason, no `[DONE]`, a proper end of the body",
    chunk: finished(() => null),
    frames: withoutDone
  },
  no_finish_done: { about: "`[DONE]` without a finish reason", chunk: finished(() => null) },
  empty_finish: {
    about: "finish reasons are the empty text until the last, as Ollama had them",
    chunk: finished((word) => word ?? "")
  },
  eos: { about: "the finish reason is `eos`", ...both(finished((word) => (word === null ? null : "eos"))) },
  stop_for_tools: {
    about: "tool calls finish with `stop`",
    ...both(finished((word) => (word === null ? null : "stop")))
  },

  // Errors inside an answer of status 200
  error: breakingBy("OpenAI's error object", { error: { message, type: "server_error", code: null } }),
  error_text: breakingBy("an error that is a text", { error: message }),
  error_list: breakingBy("Gemini's list of one error", [{ error: { code: 503, message, status: "UNAVAILABLE" } }]),
  error_flat: breakingBy("vLLM's flat error", { object: "error", message, type: "InternalServerError", code: 500 }),
  error_detail: breakingBy("FastAPI's `detail`", { detail: message }),
  error_groq: breakingBy("Groq's `x_groq.error`", { choices: [], x_groq: { error: message } }),
  error_spaced: breaking(
    "white space before the error",
    `data:   {\ndata:  "error" : {"message":${JSON.stringify(message)}}}\n\n`,
    {
      error: { message }
    }
  ),
  error_event: breaking(
    "`event: error` without the key `error`",
    `event: error\ndata: ${JSON.stringify({ message })}\n\n`,
    {
      error: { message }
    }
  ),
  error_beside: breakingBy("an error beside choices", {
    choices: [{ index: 0, delta: { content: "" }, message: { content: "half" }, finish_reason: null }],
    error: { message }
  }),
  error_finish: breakingBy("the finish reason is `error`", {
    choices: [{ index: 0, delta: {}, message: { content: "half" }, finish_reason: "error", error: { message } }]
  }),
  error_null: { about: '`"error": null` in every chunk and answer', ...both((body) => ({ ...body, error: null })) },

  // What is in an answer
  lean: { about: "what OpenAI's form requires is not there", ...both(lean) },
  thinking_parts: { about: "content is a list of parts, thoughts among them, as Mistral's", ...both(inParts) },
  ill_typed: {
    about: "fractions, numbers and objects where OpenAI has integers, texts and JSON text",
    ...both(illTyped)
  },
  empty: { about: "no text, no call, no token", ...both(emptied) },
  refusal: {
    about: "the model declines in `refusal`",
    chunk: (chunk) => choicesOf(chunk, (choice) => ({ ...choice, delta: { refusal: "I cannot" } })),
    answer: (answer) =>
      choicesOf(answer, (choice) => ({ ...choice, message: { role: "assistant", content: null, refusal: "I cannot" } }))
  },
  content_filter: {
    about: "a filter ends the answer",
    ...both(finished((word) => (word === null ? null : "content_filter")))
  },
  parallel_calls: {
    about: "every tool call comes twice",
    answer: twice,
    frames: (frames, stream) => (stream ? callsTwice(frames) : frames)
  },
  served_other: { about: "another model answers", ...both((body) => ({ ...body, model: "retired-model-2024" })) },
  big_numbers: {
    about: "numbers that no double holds, white space, escapes",
    frames: (frames) =>
      frames.map((frame) => ({
        ...frame,
        text: frame.text.replace('"object"', '"seed" : 9007199254740993, "x":[1.0, 1e400],"object"')
      }))
  },

  // Heartbeats
  heartbeats: {
    about: "comments, empty data, `data: ping`, named events between the chunks",
    frames: (frames) => {
      const beat: Frame = {
        text: ': ping\n\ndata:\n\ndata: ping\n\nevent: metadata\ndata: {"cost":1}\n\nretry: 100\n\n'
      }
      return [beat, ...frames.flatMap((frame) => [frame, beat])]
    }
  },
  thinking: {
    about: "comments for a second and a half before the first chunk",
    frames: (frames) => [...Array.from({ length: 15 }, () => ({ text: ": thinking\n\n", waitMs: 100 })), ...frames]
  },

  // Form of the body
  gzip: { about: "gzip, though identity was asked for", coding: "gzip" },
  deflate: { about: "deflate in the zlib format", coding: "deflate" },
  deflate_raw: { about: "deflate without the zlib format", coding: "deflate-raw" },
  br: { about: "Brotli", coding: "br" },
  unknown_coding: { about: "a content coding that does not exist", headers: { "content-encoding": "squeeze" } },
  bom: {
    about: "a byte order mark before everything",
    frames: ([first, ...rest]) => [{ text: `\uFEFF${first?.text ?? ""}` }, ...rest]
  },
  text_plain: { about: "content type `text/plain`", headers: { "content-type": "text/plain" } },
  capitals: { about: "the content type in capitals", headers: { "content-type": "TEXT/EVENT-STREAM; CHARSET=UTF-8" } },
  carriage_returns: {
    about: "lines end with CR, or CR LF",
    frames: (frames) =>
      frames.map((frame, i) => ({ ...frame, text: frame.text.replaceAll("\n", i % 2 === 0 ? "\r\n" : "\r") }))
  },
  byte_by_byte: {
    about: "every character is a write of its own",
    frames: (frames) => frames.flatMap(({ text }) => pieces(text, 1).map((piece) => ({ text: piece })))
  },
  slow_body: {
    about: "16 characters each 20 ms",
    frames: (frames) => frames.flatMap(({ text }) => pieces(text, 16).map((piece) => ({ text: piece, waitMs: 20 })))
  },
  other_form: { about: "a whole answer for a stream, and a stream for a whole answer", otherForm: true },
  huge_event: {
    about: "an event of 8 Mi characters, such as an image",
    frames: (frames, stream) =>
      stream
        ? afterFirst(frames, event({ choices: [{ index: 0, delta: { content: "x".repeat(8 * 1024 * 1024) } }] }))
        : frames
  },
  header_flood: { about: "20 kB of response headers", headers: flood },
  request_id: { about: "an `x-request-id` of the upstream", headers: { "x-request-id": "req-upstream-1" } },

  // Counts
  usage_null: { about: "`usage: null` in every chunk", chunk: (chunk) => ({ usage: null, ...chunk }) },
  usage_running: { about: "cumulative counts in every chunk", chunk: runningCounts },
  usage_on_finish: {
    about: "counts beside the finish reason",
    frames: (frames) => countsOnFinish(frames, (usage) => ({ usage }))
  },
  usage_groq: {
    about: "counts in `x_groq.usage` of the last chunk",
    frames: (frames) => countsOnFinish(frames, (usage) => ({ x_groq: { usage } }))
  },
  usage_cached: {
    about: "most of the input came from a cache",
    ...both((body) =>
      counts(body, { prompt_tokens: 10_000, total_tokens: 10_020, prompt_tokens_details: { cached_tokens: 9000 } })
    )
  },
  service_flex: {
    about: "served in the tier `flex`",
    ...both((body) => ({ ...body, service_tier: "flex" }))
  },
  no_usage: {
    about: "no counts at all",
    chunk: (chunk) => ("usage" in chunk ? null : chunk),
    answer: (answer) => without(answer, "usage")
  },

  // Refusals and dialects
  no_images: refusing("images are refused", hasPart("image_url"), {
    message: "This model does not support image input.",
    type: "invalid_request_error",
    code: "unsupported_value",
    param: "messages"
  }),
  no_tools: refusing("tools are refused", has("tools"), unsupported("tools")),
  no_max_tokens: refusing("`max_tokens` is refused", has("max_tokens"), unsupported("max_tokens")),
  no_stream_options: refusing("`stream_options` is refused", has("stream_options"), unsupported("stream_options"), 422),
  no_temperature: refusing("`temperature` is refused", has("temperature"), unsupported("temperature")),
  context_8k: refusing(
    "a window of about 8,192 tokens",
    (body) => JSON.stringify(body["messages"] ?? "").length > 32_768,
    {
      message: "This model's maximum context length is 8192 tokens.",
      type: "invalid_request_error",
      code: "context_length_exceeded",
      param: "messages"
    }
  ),
  payment: { about: "402", refuses: always(402, { error: { message: "Payment required", code: "payment_required" } }) },
  forbidden: { about: "403", refuses: always(403, { error: { message: "Not for this key" } }) },
  not_found: { about: "404", refuses: always(404, { error: { message: "No such model", code: "model_not_found" } }) },
  conflict: { about: "409", refuses: always(409, { error: { message: "Try another time" } }) },
  quota: {
    about: "429 that does not pass by waiting",
    refuses: always(429, { error: { message: "You exceeded your current quota", code: "insufficient_quota" } })
  },
  overloaded: {
    about: "503 with `Retry-After: 7`",
    refuses: always(503, { error: { message: "Overloaded" } }, { "retry-after": "7" })
  },

  // Silence
  late_first: {
    about: "headers, then nothing for half a minute",
    frames: (frames) => frames.map((frame, i) => (i === 0 ? { ...frame, waitMs: halfMinuteMs } : frame))
  },
  late_second: {
    about: "nothing for half a minute after the first token",
    frames: (frames) => frames.map((frame, i) => (i === 2 ? { ...frame, waitMs: halfMinuteMs } : frame))
  },
  silent_after_first: {
    about: "nothing after the first token",
    frames: (frames) => frames.slice(0, 2),
    end: "open"
  },
  silent_after_headers: {
    about: "headers, then nothing for an hour",
    frames: (frames) => frames.map((frame, i) => (i === 0 ? { ...frame, waitMs: longSilenceMs } : frame))
  }
} satisfies Readonly<Record<string, Scenario>>

export type ScenarioName = keyof typeof table

export const scenarios: Readonly<Record<ScenarioName, Scenario>> = table

export const isScenario = (name: unknown): name is ScenarioName =>
  typeof name === "string" && Object.hasOwn(table, name)

export const scenarioNames: ReadonlyArray<ScenarioName> = Object.keys(table).filter(isScenario)

/** A stream as the scenario writes it. */
export const streamFrames = (scenario: Scenario, chunks: Iterable<JsonObject>): ReadonlyArray<Frame> => {
  const written: Array<Frame> = []
  for (const chunk of chunks) {
    const changed = scenario.chunk === undefined ? chunk : scenario.chunk(chunk)
    if (changed !== null) written.push(event(changed))
  }
  const frames = [...written, done]
  return scenario.frames?.(frames, true) ?? frames
}

/** A whole answer as the scenario writes it. */
export const answerFrames = (scenario: Scenario, answer: JsonObject): ReadonlyArray<Frame> => {
  const frames = [{ text: JSON.stringify(scenario.answer === undefined ? answer : scenario.answer(answer)) }]
  return scenario.frames?.(frames, false) ?? frames
}
