import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import { parseConfigFile } from "../../src/layers/catalog/ConfigFile.ts"
import { type SettingsShape, shutdownBudget } from "../../src/services/Settings.ts"
import { readDeploy, secondsOf, settingsOf, yamlOf } from "../support/deployKit.ts"
import { image } from "../support/dockerfile.ts"

const { services, volumes } = yamlOf("compose.yaml")
const { conduit, postgres } = services

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
    assert.isNotEmpty(settings.http.apiKeyHashes)
  })

  it("grants the shutdown the time that its limits add up to", () => {
    const grace = secondsOf(conduit.stop_grace_period)
    assert.isAtMost(Duration.toSeconds(shutdownBudget(settings.shutdown)), grace)
    assert.strictEqual(Duration.toSeconds(settings.shutdown.terminationGrace), grace)
  })

  it("publishes the port where the service listens, on this machine alone", () => {
    assert.deepStrictEqual(conduit.ports, [`127.0.0.1:${settings.http.port}:${settings.http.port}`])
    assert.notProperty(postgres, "ports")
  })

  it("starts the service when the database answers by TCP, and stops it before the database", () => {
    assert.deepStrictEqual(conduit.depends_on, { postgres: { condition: "service_healthy" } })
    assert.includeMembers(postgres.healthcheck.test, ["pg_isready", "-h", "127.0.0.1"])
    const { hostname, pathname, username } = new URL(environment()["DATABASE_URL"] ?? "")
    assert.strictEqual(services[hostname], postgres)
    assert.deepInclude(postgres.environment, { POSTGRES_USER: username, POSTGRES_DB: pathname.slice(1) })
    assert.strictEqual(postgres.environment.POSTGRES_PASSWORD, "${POSTGRES_PASSWORD:?set it in deploy/.env}")
  })

  it("pins images, keeps the data in a volume, and takes rights away", () => {
    assert.match(postgres.image, /^postgres:\d+\.\d+-\w+$/)
    assert.strictEqual(conduit.build, "..")
    assert.deepStrictEqual(postgres.volumes, ["postgres:/var/lib/postgresql/data"])
    assert.property(volumes, "postgres")
    assert.isTrue(conduit.read_only)
    assert.deepStrictEqual(conduit.cap_drop, ["ALL"])
    assert.deepStrictEqual(conduit.security_opt, ["no-new-privileges:true"])
  })

  it("names in example.env what it asks for, all of it and nothing else, without a secret's value", () => {
    const asked = [...readDeploy("compose.yaml").matchAll(/\$\{(\w+):[?-]/g)].map(([, name]) => name ?? "")
    const optional = ["CONFIG_DIRECTORY"]
    assert.sameMembers([...new Set(asked)], [...example.keys(), ...optional])
    for (const name of ["POSTGRES_PASSWORD", "CONDUIT_API_KEYS", "OPENAI_API_KEY"]) {
      assert.strictEqual(example.get(name), "")
    }
  })

  it("mounts a catalogue that the service accepts, whose keys it passes on", () => {
    const [mount] = conduit.volumes
    const [source, target] = filled(mount).split(":")
    const path = conduit.environment.CONDUIT_CONFIG
    assert.isTrue(path.startsWith(`${target}/`))
    const text = readDeploy(`${source}${path.slice(target?.length)}`)
    assert.isTrue(Either.isRight(parseConfigFile(text)))
    for (const [, name] of text.matchAll(/\$\{(\w+)\}/g)) assert.property(conduit.environment, name ?? "")
  })
})
