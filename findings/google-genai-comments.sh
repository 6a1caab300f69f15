#!/usr/bin/env bash
# A comment in a stream of server-sent events loses a piece of the answer to Google's JavaScript client, and fails Python's.
#
# Versions: @google/genai 2.32.0 (npm), google-genai 2.34.0 and 3.6.1 (PyPI).
# Behaviour: a server shows that a silent stream lives by comments, lines that begin with a colon, which every reader of events
#   has to ignore. Python's client takes one for a piece of JSON and raises UnknownApiResponseError, wherever it stands. The one
#   of JavaScript knows an event by its first characters: a comment right before `data:` makes it ignore the data, without a
#   word; followed by a blank line it does no harm. A blank line alone is read well by both.
# Seen on 2026-12-01:
#   npm 2.32.0: comment "two", comment and blank line "one two", blank line "one two"
#   PyPI 2.34.0: comment UnknownApiResponseError, comment and blank line UnknownApiResponseError, blank line "one two"
#   PyPI 3.6.1: comment UnknownApiResponseError, comment and blank line UnknownApiResponseError, blank line "one two"
# Needs node, npm, python3 with venv. Exits 1 when it no longer holds.
set -euo pipefail

folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
cd "$folder"

cat >server.mjs <<'JS'
import { createServer } from "node:http"
import { writeFileSync } from "node:fs"
const piece = (text, more = {}) =>
  `data: ${JSON.stringify({ candidates: [{ content: { parts: [{ text }], role: "model" }, index: 0, ...more }] })}\n\n`
const between = { comment: ": alive\n", both: ": alive\n\n", blank: "\n" }
createServer((request, response) => {
  request.resume().on("end", () => {
    const [, name] = /models\/(\w+):/.exec(request.url)
    response.writeHead(200, { "content-type": "text/event-stream" })
    response.end(`${between[name]}${piece("one ")}${piece("two", { finishReason: "STOP" })}`)
  })
}).listen(0, "127.0.0.1", function () {
  writeFileSync("port", String(this.address().port))
})
JS
node server.mjs &
server=$!
until [ -s port ]; do sleep 0.1; done
port=$(cat port)

cat >ask.mjs <<'JS'
import { GoogleGenAI } from "@google/genai"
const client = new GoogleGenAI({ apiKey: "any", httpOptions: { baseUrl: `http://127.0.0.1:${process.argv[2]}` } })
const said = []
for (const model of ["comment", "both", "blank"]) {
  try {
    let text = ""
    for await (const piece of await client.models.generateContentStream({ model, contents: "hi" })) text += piece.text ?? ""
    said.push(JSON.stringify(text))
  } catch (error) {
    said.push(error.constructor.name)
  }
}
console.log(`comment ${said[0]}, comment and blank line ${said[1]}, blank line ${said[2]}`)
JS
cat >ask.py <<'PY'
import json, sys
from google import genai

client = genai.Client(api_key="any", http_options={"base_url": f"http://127.0.0.1:{sys.argv[1]}"})
said = []
for model in ["comment", "both", "blank"]:
    try:
        pieces = client.models.generate_content_stream(model=model, contents="hi")
        said.append(json.dumps("".join(piece.text or "" for piece in pieces)))
    except Exception as error:
        said.append(type(error).__name__)
print(f"comment {said[0]}, comment and blank line {said[1]}, blank line {said[2]}")
PY

npm install --silent --no-audit --no-fund @google/genai@2.32.0 >/dev/null 2>&1
{
  echo "npm 2.32.0: $(node ask.mjs "$port")"
  for version in 2.34.0 3.6.1; do
    python3 -m venv "v$version"
    "v$version/bin/pip" install --quiet "google-genai==$version" >/dev/null 2>&1
    echo "PyPI $version: $("v$version/bin/python" ask.py "$port" 2>/dev/null)"
  done
} | tee seen

cat >expected <<'SEEN'
npm 2.32.0: comment "two", comment and blank line "one two", blank line "one two"
PyPI 2.34.0: comment UnknownApiResponseError, comment and blank line UnknownApiResponseError, blank line "one two"
PyPI 3.6.1: comment UnknownApiResponseError, comment and blank line UnknownApiResponseError, blank line "one two"
SEEN
diff expected seen
