#!/usr/bin/env bash
# One gauge that is NaN costs every metric of the export, by OTLP in JSON.
#
# Versions: @opentelemetry/otlp-transformer 0.223.1 (npm), which writes the export; go.opentelemetry.io/collector/pdata
#   v1.71.0 (Go modules), which is the decoder of the collector's OTLP receiver, 0.165.0.
# Behaviour: the SDK's JSON serializer writes a NaN or an infinity as `null`, because JSON.stringify does. The decoder takes
#   "NaN" and "Infinity" as texts, as the JSON form of protocol buffers has them, and refuses null: not the value, but the
#   whole body. The receiver answers 400, which is final, so the exporter drops all the metrics of that export, again at
#   each interval as long as the gauge is NaN. In protocol buffers the same export is taken.
# Seen on 2026-11-30:
#   the serializer writes "asDouble":null
#   the decoder says of it: ReadUint64: unsupported value type
#   the decoder says of "asDouble":"NaN": taken
#   the decoder says of the same in protocol buffers: taken
# Needs node, npm, go and their public registries. Exits 1 when it no longer holds.
set -euo pipefail

folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"

npm init --yes >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts \
  @opentelemetry/otlp-transformer@0.223.1 @opentelemetry/api@1.9.1 >/dev/null

cat >write.cjs <<'JS'
const { writeFileSync } = require("node:fs")
const { ValueType } = require("@opentelemetry/api")
const { JsonMetricsSerializer, ProtobufMetricsSerializer } = require("@opentelemetry/otlp-transformer")
const { AggregationTemporality, DataPointType } = require("@opentelemetry/sdk-metrics")

const gauge = (name, value) => ({
  descriptor: { name, description: "", unit: "", valueType: ValueType.DOUBLE },
  aggregationTemporality: AggregationTemporality.CUMULATIVE,
  dataPointType: DataPointType.GAUGE,
  dataPoints: [{ startTime: [1, 0], endTime: [2, 0], attributes: {}, value }]
})
const metrics = [gauge("temperature", 21), gauge("ratio", 0 / 0)]
const request = { resource: { attributes: {} }, scopeMetrics: [{ scope: { name: "finding" }, metrics }] }
const json = Buffer.from(JsonMetricsSerializer.serializeRequest(request)).toString("utf8")
console.log("the serializer writes", /"asDouble":(?:null|"NaN")/.exec(json)?.[0] ?? "something else")
writeFileSync("written.json", json)
writeFileSync("text.json", json.replace('"asDouble":null', '"asDouble":"NaN"'))
writeFileSync("written.pb", ProtobufMetricsSerializer.serializeRequest(request))
JS
node write.cjs | tee seen

mkdir decode
cat >decode/go.mod <<'MOD'
module finding
go 1.25
require go.opentelemetry.io/collector/pdata v1.71.0
MOD
cat >decode/main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"strings"

	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

func main() {
	for _, c := range [][2]string{{"it", "written.json"}, {`"asDouble":"NaN"`, "text.json"}, {"the same in protocol buffers", "written.pb"}} {
		body, err := os.ReadFile(c[1])
		if err != nil {
			panic(err)
		}
		request := pmetricotlp.NewExportRequest()
		if strings.HasSuffix(c[1], ".pb") {
			err = request.UnmarshalProto(body)
		} else {
			err = request.UnmarshalJSON(body)
		}
		said := "taken"
		if err != nil {
			said = strings.SplitN(err.Error(), ",", 2)[0]
		}
		fmt.Printf("the decoder says of %s: %s\n", c[0], said)
	}
}
GO
export GOPATH="$folder/gopath" GOFLAGS=-mod=mod
(cd decode && go build -o ../decoder . 2>build.log) || { cat decode/build.log; exit 1; }
./decoder | tee -a seen

diff - seen <<'SEEN'
the serializer writes "asDouble":null
the decoder says of it: ReadUint64: unsupported value type
the decoder says of "asDouble":"NaN": taken
the decoder says of the same in protocol buffers: taken
SEEN
