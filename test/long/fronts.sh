#!/usr/bin/env bash
# The configurations of nginx, HAProxy and Caddy in docs/operations.md, where these are installed, in front of the built
# program: a body of 8 MB and 40 KiB of headers arrive, and the first event of a stream comes before its end. At most two
# minutes; exit code 1 where one does not hold. With a folder, Caddy is built there from its Go module, unless it is there
# already: at most 15 minutes more.
# test/long/fronts.sh [a folder that keeps what was built]
set -u
cd "$(dirname "$0")/../.."
folder=$(mktemp -d)
chmod 755 "$folder"
pids=()
ended() {
  for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null; done
  wait
  rm -rf "$folder"
}
trap ended EXIT

if [ $# -gt 0 ]; then
  mkdir -p "$1/bin" "$1/caddy"
  tools=$(cd "$1" && pwd)
  export PATH="$tools/bin:$PATH"
  if [ ! -x "$tools/bin/caddy" ]; then
    echo "building Caddy"
    (
      cd "$tools/caddy" || exit 1
      printf 'module tools\n\ngo 1.25.0\n' > go.mod
      printf '//go:build tools\n\npackage tools\n\nimport _ "github.com/caddyserver/caddy/v2/cmd/caddy"\n' > tools.go
      timeout 300 go get github.com/caddyserver/caddy/v2@v2.11.9 && timeout 120 go mod tidy \
        && timeout 480 go build -o "$tools/bin/" github.com/caddyserver/caddy/v2/cmd/caddy
    ) || exit 1
  fi
fi

cat > "$folder/script.yaml" <<'YAML'
defaults: { firstTokenMs: 10, tokensPerSecond: 10, answerTokens: 20 }
anyModel: true
YAML
cat > "$folder/conduit.yaml" <<'YAML'
providers: { local: { kind: openai-compatible, baseUrl: "http://127.0.0.1:18001/v1" } }
models: [{ id: small, provider: local }]
YAML
node dist/bin/conduit.js mock-llm --port 18001 --script "$folder/script.yaml" > "$folder/mock.log" & pids+=($!)
CONDUIT_PORT=18000 CONDUIT_CONFIG=$folder/conduit.yaml CONDUIT_DATA_DIRECTORY=$folder/data LOG_FORMAT=json \
  node dist/bin/conduit.js serve > "$folder/log" & pids+=($!)

waited() { for _ in $(seq 60); do curl -sf -o /dev/null "$1" && return; sleep 0.5; done; echo "no answer from $1"; cat "$folder"/*.log | tail; exit 1; }
waited http://127.0.0.1:18000/health/ready

snippet() { sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/p" docs/operations.md | sed '1d;$d' | sed "s/127.0.0.1:8000/127.0.0.1:18000/; s/8080/$2/"; }
code=0
said() { echo "$1"; code=1; }
check() {
  local front=$1 url=http://127.0.0.1:$2
  waited "$url/health/ready"
  local headers=()
  for i in 1 2 3 4 5; do headers+=(-H "x-filler-$i: $(head -c 8000 /dev/zero | tr '\0' y)"); done
  local status
  status=$(curl -s -o /dev/null -w '%{http_code}' "${headers[@]}" "$url/v1/models")
  [ "$status" = 200 ] || said "$front: 40 KiB of headers are answered $status"
  { printf '{"model":"small","messages":[{"role":"user","content":"'; head -c 8000000 /dev/zero | tr '\0' 'a'; printf '"}]}'; } > "$folder/body"
  status=$(curl -s -o /dev/null -w '%{http_code}' -H 'content-type: application/json' --data-binary "@$folder/body" "$url/v1/chat/completions")
  [ "$status" = 200 ] || said "$front: a body of 8 MB is answered $status"
  local times
  times=$(curl -sN -o "$folder/stream" -w '%{time_starttransfer} %{time_total}' -H 'content-type: application/json' \
    -d '{"model":"small","stream":true,"messages":[{"role":"user","content":"hi"}]}' "$url/v1/chat/completions")
  grep -q '^data: \[DONE\]' "$folder/stream" || said "$front: a stream does not end"
  awk -v times="$times" 'BEGIN { split(times, t, " "); exit !(t[2] - t[1] > 0.5) }' || said "$front: a stream is collected ($times s)"
  echo "$front: first byte and end of a stream after $times s"
}

if command -v nginx > /dev/null; then
  { echo "daemon off; worker_processes 1; pid $folder/nginx.pid; error_log $folder/nginx.log; events {} http { access_log off; client_body_temp_path $folder/bodies; proxy_temp_path $folder/proxied; fastcgi_temp_path $folder/f; uwsgi_temp_path $folder/u; scgi_temp_path $folder/s;"; snippet nginx 18080; echo "}"; } > "$folder/nginx.conf"
  nginx -e "$folder/nginx.log" -c "$folder/nginx.conf" & pids+=($!)
  check "$(nginx -v 2>&1 | grep -o 'nginx/.*')" 18080
fi
if command -v haproxy > /dev/null; then
  snippet haproxy 18081 > "$folder/haproxy.cfg"
  haproxy -q -f "$folder/haproxy.cfg" & pids+=($!)
  check "$(haproxy -v | grep -o 'HAProxy version [^ ]*')" 18081
fi
if command -v caddy > /dev/null; then
  # Its options stand at the top of the file.
  snippet caddyfile 18082 | sed '1s/.*/{\n\tadmin off/' > "$folder/Caddyfile"
  HOME=$folder caddy run --config "$folder/Caddyfile" --adapter caddyfile 2> "$folder/caddy.log" & pids+=($!)
  check "Caddy" 18082
fi
exit $code
