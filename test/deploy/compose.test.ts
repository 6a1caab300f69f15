import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Fs from "node:fs"
import { parseConfigFile } from "../../src/layers/models/ConfigFile.ts"
import { type SettingsShape, shutdownBudget } from "../../src/services/running/Settings.ts"
import { readDeploy, secondsOf, settingsOf, yamlOf } from "../support/deployKit.ts"
import { image } from "../support/dockerfile.ts"

const { services, volumes } = yamlOf("compose.yaml")
const { conduit, postgres } = services
const names = Object.keys(services)

const example = new Map(
  readDeploy("example.env")
    .split("\n")
    .filter((line) => /^[A-Z_]+=/.test(line))
    .map((line): [string, string] => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)])
)

/** As Compose does it: the variable, else its default; a variable that has to be set is. */
const filled = (text: unknown) =>
  String(text).replace(/\$\{(\w+):([?-])([^}]*)\}/g, (_, name: string, sign: string, rest: string) => {
    const value = example.get(name) ?? ""
    return value !== "" ? value : sign === "-" ? rest : "secret"
  })

const environment = (): Record<string, string> =>
  Object.fromEntries(Object.entries(conduit.environment).map(([name, value]) => [name, filled(value)]))

let settings: SettingsShape
let warnings: ReadonlyArray<string>

beforeAll(async () => {
  ;({ settings, warnings } = await settingsOf({ ...image().env, ...environment() }))
})

describe("compose.yaml", () => {
  it("configures the service without a problem or a warning, above what the image sets", () => {
    assert.deepStrictEqual(warnings, [])
    assert.isTrue(settings.production)
    assert.isNotEmpty(settings.http.apiKeys)
  })

  it("grants the shutdown the time that its limits add up to", () => {
    const grace = secondsOf(conduit.stop_grace_period)
    assert.isAtMost(Duration.toSeconds(shutdownBudget(settings.shutdown)), grace)
    assert.strictEqual(Duration.toSeconds(settings.shutdown.terminationGrace), grace)
  })

  it("publishes the port where the service listens, on this machine alone", () => {
    assert.deepStrictEqual(conduit.ports, [`127.0.0.1:${settings.http.port}:${settings.http.port}`])
    for (const name of names) {
      for (const port of services[name].ports ?? []) assert.match(port, /^127\.0\.0\.1:(\d+):\1$/, name)
    }
    for (const name of ["postgres", "redis", "collector"]) assert.notProperty(services[name], "ports")
  })

  it("starts the service when the database answers by TCP, and stops it before what it writes to", () => {
    assert.deepStrictEqual(conduit.depends_on, {
      postgres: { condition: "service_healthy" },
      redis: { condition: "service_healthy", required: false },
      collector: { condition: "service_started", required: false }
    })
    assert.includeMembers(postgres.healthcheck.test, ["pg_isready", "-h", "127.0.0.1"])
    const { hostname, pathname, username } = new URL(environment()["DATABASE_URL"] ?? "")
    assert.strictEqual(services[hostname], postgres)
    assert.deepInclude(postgres.environment, { POSTGRES_USER: username, POSTGRES_DB: pathname.slice(1) })
    assert.strictEqual(postgres.environment.POSTGRES_PASSWORD, "${POSTGRES_PASSWORD:?set it in deploy/.env}")
  })

  it("has what the guide says, and asks each after its health whose image can answer", () => {
    assert.sameMembers(names, ["conduit", "postgres", "redis", "collector", "prometheus", "grafana"])
    for (const name of names) {
      const { depends_on: needs = {}, healthcheck } = services[name]
      // The image of Conduit brings its own; that of the collector has no program for it.
      if (name === "conduit" || name === "collector") assert.isUndefined(healthcheck, name)
      else assert.strictEqual(healthcheck.test[0], "CMD", name)
      for (const [other, { condition }] of Object.entries<{ condition: string }>(needs)) {
        assert.strictEqual(condition, other === "collector" ? "service_started" : "service_healthy", name)
      }
    }
  })

  it("sends metrics to the collector, which Prometheus asks, under the names that they have", () => {
    const { exporters, receivers, service } = yamlOf("otel/collector.yaml")
    const port = receivers.otlp.protocols.http.endpoint.split(":")[1]
    assert.strictEqual(conduit.environment.OTEL_EXPORTER_OTLP_ENDPOINT, `http://collector:${port}`)
    const { add_metric_suffixes, endpoint, metric_expiration, resource_to_telemetry_conversion, translation_strategy } =
      exporters.prometheus
    assert.isFalse(add_metric_suffixes)
    assert.strictEqual(translation_strategy, "UnderscoreEscapingWithoutSuffixes")
    assert.isTrue(resource_to_telemetry_conversion.enabled)
    const { global, rule_files, scrape_configs } = yamlOf("prometheus/prometheus.yml")
    const [collector] = scrape_configs
    assert.deepStrictEqual(collector.static_configs, [{ targets: [`collector:${endpoint.split(":")[1]}`] }])
    assert.isTrue(collector.honor_labels)
    // The last push of a process is there for several scrapes.
    assert.isAtLeast(secondsOf(metric_expiration), 4 * secondsOf(global.scrape_interval))
    assert.isAtMost(Number(conduit.environment.OTEL_METRIC_EXPORT_INTERVAL), 1000 * secondsOf(global.scrape_interval))
    assert.deepStrictEqual(rule_files, ["alerts.yaml"])
    assert.include(services.prometheus.volumes, "./prometheus:/etc/prometheus:ro")
    for (const { exporters: used } of Object.values<{ exporters: Array<string> }>(service.pipelines)) {
      for (const name of used) assert.property(exporters, name)
    }
    assert.include(services.collector.volumes, "./otel/collector.yaml:/etc/otelcol/config.yaml:ro")
  })

  it("keeps Redis within bounds and without a file, and gives Conduit its address", () => {
    const { hostname, port } = new URL(conduit.environment.REDIS_URL)
    assert.strictEqual(services[hostname], services.redis)
    assert.strictEqual(port, "6379")
    assert.includeMembers(services.redis.command, ["--maxmemory", "allkeys-lru"])
    assert.notProperty(services.redis, "volumes")
  })

  it("pins images, keeps the data in a volume, and takes rights away", () => {
    for (const name of names) {
      if (name === "conduit") assert.strictEqual(conduit.build, "..")
      else assert.match(services[name].image, /^[a-z/-]+:v?\d+\.\d+(?:\.\d+)?(?:-\w+)?$/)
      assert.deepStrictEqual(services[name].security_opt, ["no-new-privileges:true"], name)
      assert.strictEqual(services[name].restart, "unless-stopped")
      // PostgreSQL's entry point changes the owner of its folder and then itself.
      if (name !== "postgres") assert.deepStrictEqual(services[name].cap_drop, ["ALL"], name)
      for (const mount of services[name].volumes ?? []) {
        const [source] = filled(mount).split(":")
        if (source?.startsWith(".")) {
          assert.isTrue(Fs.existsSync(new URL(`../../deploy/${source}`, import.meta.url)), source)
        } else assert.property(volumes, source ?? "")
      }
    }
    assert.deepStrictEqual(postgres.volumes, ["postgres:/var/lib/postgresql/data"])
    assert.isTrue(conduit.read_only)
  })

  it("names in example.env what it asks for, all of it and nothing else, without a secret's value", () => {
    const asked = [...readDeploy("compose.yaml").matchAll(/\$\{(\w+):[?-]/g)].map(([, name]) => name ?? "")
    const optional = ["CONFIG_DIRECTORY"]
    assert.sameMembers([...new Set(asked)], [...example.keys(), ...optional])
    for (const name of ["POSTGRES_PASSWORD", "CONDUIT_API_KEYS", "GRAFANA_PASSWORD", "OPENAI_API_KEY"]) {
      assert.strictEqual(example.get(name), "")
    }
  })

  it("mounts a catalogue that the service accepts, whose keys it passes on", () => {
    const [mount] = conduit.volumes
    const [source, target] = filled(mount).split(":")
    const path = conduit.environment.CONDUIT_CONFIG
    assert.isTrue(path.startsWith(`${target}/`))
    const text = readDeploy(`${source}${path.slice(target?.length)}`)
    assert.isTrue(Either.isRight(parseConfigFile(text, new Map())))
    for (const [, name] of text.matchAll(/\$\{(\w+)\}/g)) assert.property(conduit.environment, name ?? "")
  })
})
