#!/usr/bin/env bash
# A rule about which members an object has makes the generated type of it vanish, without a word.
#
# Versions: openapi-python-client 0.29.1 (PyPI).
# Behaviour: `oneOf: [{required: [a]}, {required: [b]}]` beside `type: object` and `properties` is how JSON Schema says that
#   exactly one of two members must be there; OpenAPI 3.1 takes all of JSON Schema. The generator takes any `oneOf` or
#   `anyOf` for a union and forgets the object beside it: the members of the union are schemas without a type, so the body is
#   `Any`, and there is no class for the named schema, with its members, their types or the other rules. It ends with exit
#   code 0 and no warning. The same rule as if, then, else, which it does not read, leaves the class as it should be.
# Seen on 2026-11-30:
#   oneOf: exit code 0, warnings: 0, body: Any, class Judgement: no
#   if, then, else: exit code 0, warnings: 0, body: Judgement, class Judgement: yes
# Needs python3 and PyPI. Exits 1 when it no longer holds.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check openapi-python-client==0.29.1

cat >document.py <<'PY'
import json
import sys

rules = {
    "oneOf": {"oneOf": [{"required": ["answer_id"]}, {"required": ["session_id"]}]},
    "if": {
        "if": {"required": ["answer_id"]},
        "then": {"not": {"required": ["session_id"]}},
        "else": {"required": ["session_id"]},
    },
}
judgement = {
    "type": "object",
    "properties": {
        "answer_id": {"type": "string"},
        "session_id": {"type": "string"},
        "value": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "required": ["value"],
    **rules[sys.argv[1]],
}
body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Judgement"}}}, "required": True}
answers = {"200": {"description": "Stored"}}
paths = {"/judge": {"post": {"operationId": "judge", "tags": ["main"], "requestBody": body, "responses": answers}}}
info = {"title": "Judging", "version": "1"}
print(json.dumps({"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": {"Judgement": judgement}}}))
PY
# Without formatters, about whose absence it would warn.
echo 'post_hooks: []' >settings.yaml

generate() {
  venv/bin/python document.py "$2" >"$2.json"
  local code=0
  venv/bin/openapi-python-client generate --path "$2.json" --output-path "made_$2" --meta none --config settings.yaml \
    >"$2.log" 2>&1 || code=$?
  local type
  type=$(sed -n 's/^ *body: \(.*\),$/\1/p' "made_$2/api/main/judge.py" | head -1)
  echo "$1: exit code $code, warnings: $(grep -ci warning "$2.log" || true), body: $type, class Judgement: $(
    [ -e "made_$2/models/judgement.py" ] && echo yes || echo no
  )"
}
{
  generate "oneOf" oneOf
  generate "if, then, else" if
} | tee seen

diff - seen <<'SEEN'
oneOf: exit code 0, warnings: 0, body: Any, class Judgement: no
if, then, else: exit code 0, warnings: 0, body: Judgement, class Judgement: yes
SEEN
