#!/usr/bin/env bash
# A prompt that came from the cache is estimated as dearer than the same prompt without a cache.
#
# Versions: tokenlens 1.3.1, ai 5.0.87, @ai-sdk/openai 2.0.64 (npm).
# Behaviour: OpenAI's `prompt_tokens` and the AI SDK's `inputTokens` contain the cached ones. The library reads both forms,
#   charges all of them at the price of new input, and adds the cached ones at the price of a cache read. So a million tokens
#   at gpt-4.1, nine tenths of them cached, are 2.45 USD where the bill says 0.65, and 2.00 where nothing is cached: who
#   compares two set-ups by these figures finds that caching costs money.
# Seen on 2026-12-01:
#   OpenAI's usage: 2.00 USD without a cache, 2.45 USD with 900,000 of 1,000,000 tokens cached
#   the AI SDK's usage, as it came from a call: inputTokens 1000000, cachedInputTokens 900000, 2.45 USD
#   by the library's own prices for the two kinds: 0.65 USD
# Needs node, npm and its public registry. Exits 1 when it no longer holds.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

npm init --yes >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts tokenlens@1.3.1 ai@5.0.87 @ai-sdk/openai@2.0.64 zod@4.1.12 >/dev/null

cat >costs.mjs <<'JS'
import { createOpenAI } from "@ai-sdk/openai"
import { generateText } from "ai"
import { costFromUsage, getTokenCosts } from "tokenlens"

const id = "openai:gpt-4.1"
const usd = (usage) => costFromUsage({ id, usage }).toFixed(2)
const whole = { prompt_tokens: 1_000_000, completion_tokens: 0, total_tokens: 1_000_000 }
const cached = { ...whole, prompt_tokens_details: { cached_tokens: 900_000 } }
console.log(`OpenAI's usage: ${usd(whole)} USD without a cache, ${usd(cached)} USD with 900,000 of 1,000,000 tokens cached`)

const answer = {
  id: "c1", object: "chat.completion", created: 1, model: "gpt-4.1", usage: cached,
  choices: [{ index: 0, message: { role: "assistant", content: "" }, finish_reason: "stop" }]
}
const fetch = async () => Response.json(answer)
const { usage } = await generateText({ model: createOpenAI({ apiKey: "unused", fetch }).chat("gpt-4.1"), prompt: "Hello" })
const { inputTokens, cachedInputTokens } = usage
console.log(`the AI SDK's usage, as it came from a call: inputTokens ${inputTokens}, cachedInputTokens ${cachedInputTokens}, ${usd(usage)} USD`)

const { inputUSD } = getTokenCosts({ modelId: id, usage: { prompt_tokens: 100_000, completion_tokens: 0 } })
const { cacheReadUSD } = getTokenCosts({ modelId: id, usage: cached })
console.log(`by the library's own prices for the two kinds: ${(inputUSD + cacheReadUSD).toFixed(2)} USD`)
JS
node costs.mjs | tee seen

diff - seen <<'SEEN'
OpenAI's usage: 2.00 USD without a cache, 2.45 USD with 900,000 of 1,000,000 tokens cached
the AI SDK's usage, as it came from a call: inputTokens 1000000, cachedInputTokens 900000, 2.45 USD
by the library's own prices for the two kinds: 0.65 USD
SEEN
