#!/usr/bin/env bash
# Alerts, dashboard and the collector's configuration against programs that are built from their Go modules: Prometheus and
# promtool 3.16.0, a collector 0.165.0 of the components that deploy/otel/collector.yaml names. Every leg of the tests of the
# kit that needs them runs and none may be skipped. It needs Go and its module proxy. Building takes up to 20 minutes the
# first time, of which a line tells each step, and the tests at most 20; exit code 1 where one fails.
# test/long/telemetry.sh [a folder that keeps what was built]
set -u
cd "$(dirname "$0")/../.."
prometheus=0.316.0
collector=0.165.0
folder=${1:-$(mktemp -d)}
mkdir -p "$folder/bin"
folder=$(cd "$folder" && pwd)
[ $# -gt 0 ] || trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT

# A module of its own, which needs no more than that version of those packages, and the programs that they are.
built() {
  local name=$1 version=$2 tags=$3
  shift 3
  mkdir -p "$folder/$name"
  (
    cd "$folder/$name" || exit 1
    printf 'module tools\n\ngo 1.25.0\n' > go.mod
    { printf '//go:build tools\n\npackage tools\n\nimport (\n'; printf '\t_ "%s"\n' "$@"; printf ')\n'; } > tools.go
    timeout 300 go get "${@/%/@$version}" && timeout 120 go mod tidy \
      && timeout 900 go build -tags "$tags" -ldflags "-X github.com/prometheus/common/version.Version=3.${prometheus#0.3}" -o "$folder/bin/" "$@"
  )
}
said() { echo "$(date +%T) $1"; }

if [ ! -x "$folder/bin/prometheus" ] || [ ! -x "$folder/bin/promtool" ]; then
  said "building Prometheus $prometheus"
  # Without the discovery of services in other people's clouds, which is most of it.
  built prometheus "v$prometheus" remove_all_sd github.com/prometheus/prometheus/cmd/prometheus github.com/prometheus/prometheus/cmd/promtool || exit 1
fi
if [ ! -x "$folder/bin/otelcol" ]; then
  said "building the collector $collector"
  built builder "v$collector" "" go.opentelemetry.io/collector/cmd/builder || exit 1
  cat > "$folder/collector.yaml" <<YAML
dist: { name: otelcol, output_path: $folder/collector, version: $collector }
receivers: [{ gomod: go.opentelemetry.io/collector/receiver/otlpreceiver v$collector }]
processors:
  - { gomod: go.opentelemetry.io/collector/processor/batchprocessor v$collector }
  - { gomod: go.opentelemetry.io/collector/processor/memorylimiterprocessor v$collector }
exporters:
  - { gomod: go.opentelemetry.io/collector/exporter/debugexporter v$collector }
  - { gomod: github.com/open-telemetry/opentelemetry-collector-contrib/exporter/prometheusexporter v$collector }
YAML
  timeout 900 "$folder/bin/builder" --config "$folder/collector.yaml" 2> "$folder/builder.log" || { tail -20 "$folder/builder.log"; exit 1; }
  cp "$folder/collector/otelcol" "$folder/bin/otelcol"
fi
export PATH="$folder/bin:$PATH"
said "$(prometheus --version 2>&1 | head -1), $(promtool --version 2>&1 | head -1), $(otelcol --version)"
timeout 120 otelcol validate --config deploy/otel/collector.yaml || exit 1
CONDUIT_TEST_REQUIRE=prometheus,promtool,otelcol,otlpreceiver timeout 1200 npx vitest run test/deploy/alerts.test.ts \
  test/deploy/compose.test.ts test/deploy/grafana.test.ts test/deploy/prometheus.test.ts test/process/metrics.test.ts
