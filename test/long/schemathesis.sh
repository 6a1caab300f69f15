#!/usr/bin/env bash
# Schemathesis (PyPI), with all its checks, against the built program with its own database and simulated models, once for
# each seed. It needs python3 with venv, and the network for the package. At most 10 minutes; exit code 1 where it finds
# something else than what is right: a key that names an object's prototype, which no schema can exclude at every depth, is
# refused; a header that nobody knows is ignored.
# test/long/schemathesis.sh [seeds, "1 2 3"] [examples, 60]
set -u
cd "$(dirname "$0")/../.."
seeds=${1:-1 2 3}
examples=${2:-60}
folder=$(mktemp -d)
service=
ended() {
  [ -z "$service" ] || { kill "$service"; wait "$service"; }
  rm -rf "$folder"
}
trap ended EXIT

python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet schemathesis==4.32.5 || exit 1
CONDUIT_PORT=0 CONDUIT_SIMULATE=true CONDUIT_DATA_DIRECTORY=$folder/data LOG_FORMAT=json \
  node dist/bin/conduit.js serve > "$folder/log" &
service=$!
for _ in $(seq 60); do
  url=$(sed -n 's/.*"message":"ready".*"url":"\([^"]*\)","docs".*/\1/p' "$folder/log")
  [ -z "$url" ] || break
  sleep 1
done
[ -n "$url" ] || { cat "$folder/log"; exit 1; }

config=$PWD/test/long/schemathesis.toml
code=0
for seed in $seeds; do
  (cd "$folder" && timeout 200 venv/bin/schemathesis --config-file "$config" run "$url/openapi.json" --checks all \
    --max-examples "$examples" --seed "$seed" --request-timeout 20 --no-color > "seed-$seed" 2>&1)
  grep -q '^Test cases:' "$folder/seed-$seed" || { tail -20 "$folder/seed-$seed"; code=1; }
  found=$(grep -c '^- ST' "$folder/seed-$seed")
  right=$(grep -cE 'in header - object with unexpected properties|which is refused: it names a prototype' "$folder/seed-$seed")
  echo "seed $seed: $(grep -A1 '^Test cases:' "$folder/seed-$seed" | tail -1 | xargs), $right of $found findings are right"
  [ "$found" = "$right" ] || { sed -n '/FAILURES/,$p' "$folder/seed-$seed" | cut -c1-400 | head -80; code=1; }
done
[ "$code" = 0 ] || grep -E '"level":"(WARNING|ERROR)"' "$folder/log" | cut -c1-600 | tail -20
exit $code
