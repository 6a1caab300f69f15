#!/usr/bin/env bash
# "mistral-large-latest" costs what a model did that its provider has retired: four times the price of the one that answers.
#
# Versions: @pydantic/genai-prices 0.1.8 (npm).
# Behaviour: the catalogue matches names of models by rules. The rule of `mistral-large`, with the prices of Mistral Large 2,
#   takes `mistral-large-latest` as well as `mistral-large-2411`. Mistral moved the alias to Mistral Large 3
#   (`mistral-large-2512`) and retired 2411 on 2026-05-31, after which it answers 400. The catalogue has 2512 with its own
#   price, but whoever calls by the alias, as Mistral's examples do, is priced by the old entry. `mistral-medium-latest` and
#   `mistral-small-latest` have entries of their own.
# Seen on 2026-11-30, USD per million tokens in and out:
#   mistral-large-latest is mistral-large: 2, 6
#   mistral-large-2411 is mistral-large: 2, 6
#   mistral-large-2512 is mistral-large-2512: 0.5, 1.5
#   mistral-medium-latest is mistral-medium-latest: 1.5, 7.5
# Needs node, npm and its public registry. Exits 1 when it no longer holds.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

npm init --yes >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @pydantic/genai-prices@0.1.8 >/dev/null

cat >read.mjs <<'JS'
import { calcPrice } from "@pydantic/genai-prices"
for (const name of ["mistral-large-latest", "mistral-large-2411", "mistral-large-2512", "mistral-medium-latest"]) {
  const found = calcPrice({ input_tokens: 1, output_tokens: 1 }, name, { providerApiUrl: "https://api.mistral.ai/v1" })
  const { input_mtok, output_mtok } = found.model_price
  console.log(`${name} is ${found.model.id}: ${input_mtok}, ${output_mtok}`)
}
JS
node read.mjs | tee seen

diff - seen <<'SEEN'
mistral-large-latest is mistral-large: 2, 6
mistral-large-2411 is mistral-large: 2, 6
mistral-large-2512 is mistral-large-2512: 0.5, 1.5
mistral-medium-latest is mistral-medium-latest: 1.5, 7.5
SEEN
