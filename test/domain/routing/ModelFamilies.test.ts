import { assert, describe, it } from "@effect/vitest"
import { families, familyOf } from "../../../src/domain/routing/ModelFamilies.ts"

/** Names as providers take them, in the order of the rows that they belong to. */
const examples: ReadonlyArray<ReadonlyArray<string>> = [
  ["gpt-5-chat-latest", "openai/gpt-5.1-chat-latest"],
  ["gpt-5.4", "openai/gpt-5.5-2026-04-23", "gpt-5.6-sol", "gpt-5.6"],
  ["gpt-5.1", "gpt-5.2-2025-12-11", "gpt-5.4-mini", "gpt-5.4-nano"],
  ["gpt-5", "openai/gpt-5-mini-2025-08-07", "gpt-5-nano"],
  ["o3-mini", "o3-mini-2025-01-31"],
  ["o1", "o3-2025-04-16", "o4-mini"],
  ["gpt-4.1", "gpt-4.1-nano-2025-04-14"],
  ["gpt-4o-2024-05-13"],
  ["gpt-4o", "gpt-4o-mini-2024-07-18", "openai/gpt-4o-2024-08-06"],
  ["gpt-4-turbo-preview", "gpt-4-0125-preview"],
  ["gpt-4-turbo", "gpt-4-turbo-2024-04-09"],
  ["gpt-4", "gpt-4-0613"],
  ["gpt-3.5-turbo", "gpt-3.5-turbo-0125"],
  ["claude-opus-5", "claude-opus-5-5", "claude-sonnet-4-6", "anthropic/claude-opus-4.6", "claude-fable-5-1"],
  ["claude-haiku-4-5-20251001", "anthropic/claude-sonnet-4.5", "claude-opus-4-5"],
  ["claude-opus-4-1-20250805", "claude-opus-4-20250514"],
  ["claude-sonnet-4-20250514", "claude-3-7-sonnet-20250219"],
  ["claude-3-haiku-20240307", "claude-3-5-sonnet-latest"],
  ["gemini-2.0-flash", "models/gemini-2.0-flash-001"],
  ["gemini-2.5-pro", "google/gemini-3-flash-preview", "gemini-3.7-flash", "gemini-2.5-flash-lite"],
  ["deepseek-v4-pro", "deepseek/deepseek-v4-flash"],
  ["deepseek-chat", "deepseek-reasoner"]
]

describe("the table of families", () => {
  it("names for each row where its values stand, what was read, and when", () => {
    for (const { capabilities, contextWindow, maxOutputTokens, pattern, read, readOn, source } of families) {
      const row = String(pattern)
      assert.isTrue(URL.canParse(source) && source.startsWith("https://"), row)
      assert.include(["page", "tables"], read)
      assert.match(readOn, /^20\d\d-\d\d-\d\d$/, row)
      assert.isTrue(pattern.source.startsWith("^"), `${row} is held to the beginning of a name`)
      assert.isAbove(Object.keys(capabilities).length, 0, row)
      for (const tokens of [contextWindow, maxOutputTokens]) {
        if (tokens !== null) assert.isTrue(Number.isInteger(tokens) && tokens > 0, row)
      }
      assert.isAtMost(maxOutputTokens ?? 0, contextWindow ?? Infinity, row)
    }
  })

  it("finds each row by the names of its models, and no row hides another", () => {
    assert.strictEqual(examples.length, families.length)
    examples.forEach((names, i) => {
      for (const name of names) assert.strictEqual(familyOf(name), families[i], name)
    })
  })

  it("says nothing of names that only look alike, or answer elsewhere", () => {
    for (const name of [
      "small",
      "my-gpt-4o",
      "deepseek-chat-vl",
      "gpt-4o-audio-preview",
      "gpt-4o-mini-transcribe",
      "gpt-5-pro",
      "gpt-5.1-codex",
      "o1-mini",
      "o3-deep-research",
      "gemini-2.5-flash-preview-tts",
      "gemini-3-pro-image-preview",
      "claude-haiku-5-5"
    ])
      assert.isNull(familyOf(name), name)
  })

  it("leaves the temperature of those alone that sample as they are told", () => {
    assert.isNull(familyOf("gpt-5")?.dialect.temperature)
    assert.isUndefined(familyOf("gpt-5.2")?.dialect.temperature)
    assert.strictEqual(familyOf("gpt-5.2")?.dialect.max_tokens, "max_completion_tokens")
  })
})
