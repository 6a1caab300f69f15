#!/usr/bin/env bash
# The default reading of an xAI answer drops its reasoning, and with it nine tenths of what it costs.
#
# Versions: @pydantic/genai-prices 0.1.8 (npm).
# Behaviour: xAI counts reasoning outside of `completion_tokens`: the total is prompt, completion and reasoning together.
#   `extractUsage` reads an answer in a flavour; where none is named it takes `default`, which for xAI is the form of its
#   own SDK, with `reasoning_tokens` at the top. An answer of `POST https://api.x.ai/v1/chat/completions` has them in
#   `completion_tokens_details`: the default flavour takes it without a word, finds prompt and completion, and leaves the
#   reasoning out. For OpenAI and DeepSeek, which have no default flavour, leaving it out is an error that names them.
# Seen on 2026-11-30, of an answer with 100 tokens of prompt, 10 of text and 300 of reasoning, grok-4:
#   no flavour: output 10, 0.000450 USD
#   default: output 10, 0.000450 USD
#   chat: output 310, 0.004950 USD
# Needs node, npm and its public registry. Exits 1 when it no longer holds.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

npm init --yes >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @pydantic/genai-prices@0.1.8 >/dev/null

cat >read.mjs <<'JS'
import { calcPrice, extractUsage, findProvider } from "@pydantic/genai-prices"
const provider = findProvider({ providerId: "x-ai" })
const answer = {
  model: "grok-4",
  usage: {
    prompt_tokens: 100,
    completion_tokens: 10,
    total_tokens: 410,
    completion_tokens_details: { reasoning_tokens: 300 }
  }
}
for (const flavour of [undefined, "default", "chat"]) {
  const { usage } = extractUsage(provider, answer, flavour)
  const { total_price } = calcPrice(usage, "grok-4", { providerId: "x-ai" })
  console.log(`${flavour ?? "no flavour"}: output ${usage.output_tokens}, ${total_price.toFixed(6)} USD`)
}
JS
node read.mjs | tee seen

diff - seen <<'SEEN'
no flavour: output 10, 0.000450 USD
default: output 10, 0.000450 USD
chat: output 310, 0.004950 USD
SEEN
