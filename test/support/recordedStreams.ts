// Streams as providers document them, or as their public reports show them; the texts are our own.

const events = (...payloads: ReadonlyArray<unknown>) =>
  payloads.map((one) => `data: ${typeof one === "string" ? one : JSON.stringify(one)}\n\n`).join("")

const chunk = (delta: object, finish: unknown = null, more: object = {}, choice: object = {}) => ({
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  created: 1760000000,
  model: "served-model",
  choices: [{ index: 0, delta, finish_reason: finish, ...choice }],
  ...more
})
const counts = { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 }
const { choices: _, ...head } = chunk({})
const usageChunk = (usage: object = counts) => ({ ...head, choices: [], usage })
const call = (index: number, more: object) => ({ tool_calls: [{ index, ...more }] })

/** By provider: the stream, and the text that it tells. */
export const recordedStreams: Readonly<Record<string, { readonly stream: string; readonly text: string }>> = {
  openai: {
    stream: events(
      chunk({ role: "assistant", content: "", refusal: null }, null, { usage: null, obfuscation: "x9" }),
      chunk({ content: "Héllo" }, null, { usage: null, obfuscation: "Rk3" }),
      chunk({ content: " 🙂" }, null, { usage: null, obfuscation: "q" }),
      chunk({}, "stop", { usage: null, obfuscation: "abcdef" }),
      usageChunk(),
      "[DONE]"
    ),
    text: "Héllo 🙂"
  },
  azure: {
    stream: events(
      { choices: [], created: 0, id: "", model: "", object: "", prompt_filter_results: [{ prompt_index: 0 }] },
      chunk({ role: "assistant", content: "" }, null, {}, { content_filter_results: {} }),
      chunk({ content: "One" }, null, {}, { content_filter_results: { hate: { filtered: false } } }),
      chunk({}, "stop", {}, { content_filter_results: {} }),
      "[DONE]"
    ),
    text: "One"
  },
  mistral: {
    stream: events(
      chunk({ role: "assistant", content: "" }),
      chunk({ content: "Bon" }),
      chunk({ content: "jour" }, "stop", { usage: counts }),
      "[DONE]"
    ),
    text: "Bonjour"
  },
  "mistral, thinking": {
    stream: events(
      chunk({ role: "assistant", content: "" }),
      chunk({ content: [{ type: "thinking", thinking: [{ type: "text", text: "Let me" }], closed: false }] }),
      chunk({ content: [{ type: "thinking", thinking: [{ type: "text", text: " see" }] }] }),
      chunk({ content: [{ type: "text", text: "Vo" }] }),
      chunk({ content: "il\u00e0" }),
      chunk({ content: "" }, "stop", { usage: counts }),
      "[DONE]"
    ),
    text: "Voilà"
  },
  groq: {
    stream: events(
      chunk({ role: "assistant", content: "" }, null, { x_groq: { id: "req_1" } }, { logprobs: null }),
      chunk({ content: "Fast" }, null, {}, { logprobs: null }),
      chunk({}, "stop", { x_groq: { id: "req_1", usage: counts } }, { logprobs: null }),
      "[DONE]"
    ),
    text: "Fast"
  },
  deepseek: {
    stream: `: keep-alive\n\n${events(
      chunk({ role: "assistant", content: null, reasoning_content: "" }),
      chunk({ content: null, reasoning_content: "Hm" })
    )}: keep-alive\n\n${events(
      chunk({ content: "Deep", reasoning_content: null }),
      chunk({ content: "" }, "stop", { usage: { ...counts, prompt_cache_hit_tokens: 4 } }),
      "[DONE]"
    )}`,
    text: "Deep"
  },
  openrouter: {
    stream: `: OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n${events(
      chunk({ role: "assistant", content: "Rou" }, null, { provider: "Any" }, { native_finish_reason: null }),
      chunk({ role: "assistant", content: "ted" }, null, { provider: "Any" }, { native_finish_reason: null }),
      chunk({ role: "assistant", content: "" }, "stop", { provider: "Any" }, { native_finish_reason: "end_turn" }),
      usageChunk({ ...counts, cost: 0.0001 }),
      "[DONE]"
    )}`,
    text: "Routed"
  },
  together: {
    stream: events(
      { ...head, choices: [{ index: 0, text: "To", delta: { role: "assistant", content: "To", token_id: 1 } }] },
      {
        ...head,
        choices: [{ index: 0, text: "gether", delta: { role: "assistant", content: "gether", token_id: 2 } }]
      },
      chunk({ role: "assistant", content: "" }, "eos", { usage: counts }),
      "[DONE]"
    ),
    text: "Together"
  },
  vllm: {
    stream: events(
      chunk({ role: "assistant", content: "", reasoning_content: null, tool_calls: [] }),
      chunk({ content: "v", reasoning_content: null, tool_calls: [] }),
      chunk({ content: "LLM", reasoning_content: null, tool_calls: [] }, "stop", {}, { stop_reason: null }),
      usageChunk(),
      "[DONE]"
    ),
    text: "vLLM"
  },
  ollama: {
    stream: events(
      chunk({ role: "assistant", content: "Lo" }, "", { system_fingerprint: "fp_ollama" }),
      chunk({ role: "assistant", content: "cal" }, "", { system_fingerprint: "fp_ollama" }),
      chunk({ role: "assistant", content: "" }, "stop", { system_fingerprint: "fp_ollama" }),
      "[DONE]"
    ),
    text: "Local"
  },
  xai: {
    stream: events(
      chunk({ role: "assistant", content: "Gr" }, null, {
        usage: { ...counts, completion_tokens: 1, total_tokens: 10 }
      }),
      chunk({ role: "assistant", content: "ok" }, null, {
        usage: { ...counts, completion_tokens: 2, total_tokens: 11 }
      }),
      chunk({}, "stop", {
        usage: { ...counts, completion_tokens_details: { reasoning_tokens: 40 }, total_tokens: 52 }
      }),
      "[DONE]"
    ),
    text: "Grok"
  },
  perplexity: {
    // No [DONE], and counts in every chunk.
    stream: events(
      chunk(
        { role: "assistant", content: "So" },
        null,
        { usage: counts, citations: [] },
        { message: { role: "assistant", content: "So" } }
      ),
      chunk(
        { content: "nar" },
        "stop",
        { usage: counts, citations: [] },
        { message: { role: "assistant", content: "Sonar" } }
      )
    ).replaceAll("\n\n", "\r\n\r\n"),
    text: "Sonar"
  },
  gemini: {
    stream: events(
      chunk({
        role: "assistant",
        tool_calls: [{ id: "call_1", type: "function", function: { name: "f", arguments: "{}" } }]
      }),
      chunk({
        role: "assistant",
        tool_calls: [{ id: "call_2", type: "function", function: { name: "g", arguments: "{}" } }]
      }),
      chunk({ role: "assistant" }, "stop", { usage: counts }),
      "[DONE]"
    ),
    text: ""
  },
  "openai, tools": {
    stream: events(
      chunk({
        role: "assistant",
        content: null,
        ...call(0, { id: "call_1", type: "function", function: { name: "f", arguments: "" } })
      }),
      chunk(call(0, { function: { arguments: '{"a":' } })),
      chunk(call(0, { function: { arguments: '"\\u00e9"}' } })),
      chunk({}, "tool_calls"),
      usageChunk(),
      "[DONE]"
    ),
    text: ""
  }
}
