import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { type CommandResult, runCommand } from "../support/command.ts"
import { chat, killAll, request, startConduit } from "../support/conduit.ts"
import { serversIn } from "../support/embedded.ts"
import { createDatabase, query, type TestDatabase } from "../support/postgres.ts"
import { startUpstream } from "../support/processMock.ts"
import { eventually } from "../support/traffic.ts"

const models = [
  { id: "small", inputUsdPerMTok: 0.1, outputUsdPerMTok: 0.2 },
  { id: "large", inputUsdPerMTok: 5, outputUsdPerMTok: 20 }
]
const feedbacks = 24

let database: TestDatabase
let folder: string
let env: Record<string, string>
/** What the service itself said about its models before it ended. */
let served: ReadonlyArray<Record<string, any>>

const run = (args: ReadonlyArray<string>, more: Record<string, string> = {}): Promise<CommandResult> =>
  runCommand(args, { env: { ...env, ...more }, directory: folder })

const ok = async (...args: ReadonlyArray<string>): Promise<string> => {
  const { code, stderr, stdout } = await run(args)
  assert.strictEqual(code, 0, stderr)
  return stdout
}

const refused = async (pattern: RegExp, args: ReadonlyArray<string>, more: Record<string, string> = {}) => {
  const { code, stderr, stdout } = await run(args, more)
  assert.strictEqual(code, 1, stdout)
  assert.match(stderr, pattern)
}

const stateOf = async () => JSON.parse(await ok("state", "show", "--json"))

// One service that learns and ends; the commands look at what it left, and no test changes it but by the log.
beforeAll(async () => {
  database = await createDatabase()
  folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-tools-"))
  const upstream = await startUpstream()
  const conduit = await startConduit({
    databaseUrl: database.url,
    upstream: upstream.url,
    models,
    env: { CONDUIT_ROUTER_ID: "tools" }
  })
  Fs.copyFileSync(Path.join(conduit.directory, "conduit.yaml"), Path.join(folder, "conduit.yaml"))
  env = { DATABASE_URL: database.url, CONDUIT_ROUTER_ID: "tools" }
  for (let i = 0; i < feedbacks; i++) {
    const model = i % 2 === 0 ? "small" : "large"
    const pinned = await request(`${conduit.url}/v1/chat/completions`, { body: chat(`question ${i}`, { model }) })
    const routed = await request(`${conduit.url}/v1/chat/completions`, { body: chat(`question ${i}`) })
    assert.deepStrictEqual([pinned.status, routed.status], [200, 200])
    const judged = await request(`${conduit.url}/v1/feedback`, {
      body: {
        decision_id: pinned.headers["x-conduit-decision-id"],
        kind: "rating",
        value: model === "small" ? 2 : 5
      }
    })
    assert.strictEqual(judged.status, 200, judged.text)
  }
  conduit.kill("SIGTERM")
  await conduit.ended()
  const again = await startConduit({
    databaseUrl: database.url,
    upstream: upstream.url,
    models,
    env: { CONDUIT_ROUTER_ID: "tools" }
  })
  served = (await request(`${again.url}/v1/models`)).json.data.filter((one: { id: string }) => one.id !== "auto")
  again.kill("SIGTERM")
  await again.ended()
  await upstream.close()
})

afterAll(async () => {
  await killAll()
  await database.drop()
  Fs.rmSync(folder, { recursive: true, force: true })
})

describe("conduit state", () => {
  it("shows what the service showed, to the last digit, and its snapshots", async () => {
    const state = await stateOf()
    assert.strictEqual(state.router_id, "tools")
    for (const model of served) {
      const shown = state.models.find((one: { id: string }) => one.id === model["id"])
      for (const key of ["quality", "success_rate", "output_tokens", "latency_seconds", "share"]) {
        assert.deepStrictEqual(shown[key], model["conduit"][key], `${model["id"]} ${key}`)
      }
    }
    assert.strictEqual(state.models[0].quality.observations, feedbacks / 2)
    const [newest] = state.snapshots
    assert.deepInclude(newest, { watermark: state.position, condition: "good", fingerprint: state.fingerprint })
    assert.isAbove(newest.bytes, 100)
    const text = await ok("state", "show")
    assert.match(text, /^router tools, position \d+, oldest retained commit 1$/m)
    assert.match(text, /^small +0\.\d{3} \(0\.\d\d to 0\.\d\d\) +12 /m)
    assert.match(text, / good +thompson-/)
  })

  it("verifies a snapshot against the log, and finds one that differs, with its model", async () => {
    assert.match(await ok("state", "verify"), /^equal: folded from the start of the log/)
    // A judgement is taken out of the log behind the snapshot's back: another commit's payload stands in its place.
    const [victim] = await query<{ position: string; payload: Buffer }>(
      database.url,
      "SELECT position, payload FROM learning_log WHERE position = (SELECT max(position) - 1 FROM learning_log)"
    )
    const put = (payload: Uint8Array) =>
      query(database.url, "UPDATE learning_log SET payload = $1 WHERE position = $2", [payload, victim!.position])
    const [other] = await query<{ payload: Buffer }>(
      database.url,
      "SELECT payload FROM learning_log WHERE position = 2"
    )
    await put(other!.payload)
    try {
      await refused(/^DIFFERENT: .*first difference: (small|large)$/m, ["state", "verify"])
    } finally {
      await put(victim!.payload)
    }
    assert.match(await ok("state", "verify"), /^equal/)
  })

  it("calls a damaged snapshot damaged, and folds from the one before it", async () => {
    const before = await stateOf()
    const [newest] = await query<{ watermark: string; state: Buffer }>(
      database.url,
      "SELECT watermark, state FROM bandit_snapshots ORDER BY watermark DESC LIMIT 1"
    )
    const put = (state: Uint8Array) =>
      query(database.url, "UPDATE bandit_snapshots SET state = $1 WHERE watermark = $2", [state, newest!.watermark])
    const damaged = Buffer.from(newest!.state)
    damaged[50]! ^= 1
    await put(damaged)
    try {
      const state = await stateOf()
      assert.strictEqual(state.snapshots[0].condition, "damaged")
      assert.deepStrictEqual(state.models, before.models)
      const verified = await run(["state", "verify"])
      assert.match(
        verified.stderr,
        new RegExp(`snapshot at position ${newest!.watermark} is damaged, and is not compared`)
      )
    } finally {
      await put(newest!.state)
    }
  })

  it("carries a state to an empty log, and nowhere else", async () => {
    const file = Path.join(folder, "tools.state")
    assert.match(await ok("state", "export", file), /the state of router tools at position \d+/)
    await refused(/EEXIST: name a file that does not exist yet/, ["state", "export", file])
    const before = await stateOf()

    const moved = { CONDUIT_ROUTER_ID: "moved" }
    await refused(/say --yes to import it/, ["state", "import", file], moved)
    const bytes = Fs.readFileSync(file)
    bytes[200]! ^= 1
    Fs.writeFileSync(`${file}.bad`, bytes)
    await refused(/its checksum is wrong/, ["state", "import", `${file}.bad`, "--yes"], moved)
    const imported = await run(["state", "import", file, "--yes"], moved)
    assert.strictEqual(imported.code, 0, imported.stderr)
    const there = JSON.parse((await run(["state", "show", "--json"], moved)).stdout)
    assert.deepStrictEqual([there.models, there.position], [before.models, before.position])

    // The log goes on from there; then the file is of another position.
    assert.strictEqual((await run(["models", "disable", "small"], moved)).code, 0)
    await refused(/ends at position \d+ and the state is of position \d+/, ["state", "import", file, "--yes"], moved)

    // At the same position it is a snapshot like any other: the same bits are welcome, and others are not.
    const same = await run(["state", "import", file, "--yes"])
    assert.strictEqual(same.code, 0, same.stderr)
    const other = Path.join(folder, "other.state")
    await run(["state", "export", other], moved)
    await ok("state", "reset", "large", "--yes")
    await refused(/folds to another state .*nothing was changed/, ["state", "import", other, "--yes"])
    assert.match(await ok("state", "verify"), /^equal/)
  })

  it("leaves no router behind when an import is refused, or only asked about", async () => {
    const file = Path.join(folder, "asked.state")
    await ok("state", "export", file)
    Fs.writeFileSync(`${file}.bad`, "not a state")
    const unknown = { CONDUIT_ROUTER_ID: "mistyped" }
    await refused(/its checksum is wrong/, ["state", "import", `${file}.bad`, "--yes"], unknown)
    await refused(/for router mistyped: say --yes to import it/, ["state", "import", file], unknown)
    await refused(/there is no router mistyped/, ["state", "show"], unknown)
  })

  it("makes nothing where DATABASE_URL is forgotten or another one's", async () => {
    const empty = Fs.mkdtempSync(Path.join(folder, "empty-"))
    const forgotten = await runCommand(["state", "show"], { directory: empty })
    assert.strictEqual(forgotten.code, 1)
    assert.match(forgotten.stderr, /DATABASE_URL is not set, and there is no embedded database in \.conduit/)
    assert.deepStrictEqual(Fs.readdirSync(empty), [])
    const foreign = await createDatabase()
    try {
      await refused(/it holds nothing of Conduit: set DATABASE_URL/, ["models", "list"], { DATABASE_URL: foreign.url })
      assert.deepStrictEqual(await query(foreign.url, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'"), [])
      // An import may begin there.
      const file = Path.join(folder, "begin.state")
      await ok("state", "export", file)
      const begun = await run(["state", "import", file, "--yes"], { DATABASE_URL: foreign.url })
      assert.match(begun.stdout, /for router tools: imported/)
    } finally {
      await foreign.drop()
    }
  })

  it("resets the model that is named, or all, when it is told yes", async () => {
    const epochs = async () => {
      const state = await stateOf()
      return Object.fromEntries(state.models.map((one: { id: string; epoch: number }) => [one.id, one.epoch]))
    }
    const before = await epochs()
    await refused(/say --yes to do it/, ["state", "reset", "small"])
    await refused(/did you mean small/, ["state", "reset", "smal", "--yes"])
    await refused(/name one model, or say --all/, ["state", "reset", "--yes"])
    assert.deepStrictEqual(await epochs(), before)
    await ok("state", "reset", "small", "--yes")
    assert.deepStrictEqual(await epochs(), { ...before, small: before["small"] + 1 })
    await ok("state", "reset", "--yes", "--all")
    assert.deepStrictEqual(await epochs(), { small: before["small"] + 2, large: before["large"] + 1 })
  })

  it("works on the embedded database beside its service, and without it", async () => {
    const conduit = await startConduit({})
    const inFolder = async (...args: ReadonlyArray<string>) => {
      const { code, stderr, stdout } = await runCommand(args, { directory: conduit.directory })
      assert.strictEqual(code, 0, stderr)
      return stdout
    }
    assert.isAbove(JSON.parse(await inFolder("state", "show", "--json")).models.length, 1)
    const [disabled = ""] = /^sim-\S+/m.exec(await inFolder("models", "list")) ?? []
    await inFolder("models", "disable", disabled)
    await eventually(`${disabled} is disabled`, 10_000, async () => {
      const { json } = await request(`${conduit.url}/v1/models`)
      return json.data.some((one: any) => one.id === disabled && !one.conduit.available)
    })
    assert.match(await inFolder("reload"), /every running replica reads its configuration again/)
    await conduit.logged("the configuration was read again")
    await inFolder("replay", "--weights", "1,0,0")
    assert.match(await inFolder("doctor"), /^pass {2}database +PostgreSQL 18\.\d+ at 127\.0\.0\.1:\d+\/postgres/m)
    conduit.kill("SIGTERM")
    assert.strictEqual((await conduit.ended()).code, 0)
    assert.deepStrictEqual(serversIn(Path.join(conduit.directory, ".conduit")), [])
    const { models } = JSON.parse(await inFolder("models", "list", "--json"))
    assert.isTrue(models.find((one: any) => one.id === disabled).disabled)
    assert.deepStrictEqual(serversIn(Path.join(conduit.directory, ".conduit")), [])
  })
})

describe("conduit replay", () => {
  const replay = async (...args: ReadonlyArray<string>) => JSON.parse(await ok("replay", "--json", ...args))

  it("shows what other weights would choose, and what that would change", async () => {
    const cheap = await replay("--weights", "0,1,0")
    const good = await replay("--weights", "1,0,0")
    assert.strictEqual(cheap.reference[0].model, "small")
    assert.strictEqual(good.reference[0].model, "large")
    // The routed ones: a pinned decision was no choice.
    assert.deepStrictEqual([cheap.decisions, good.decisions], [feedbacks, feedbacks])
    assert.strictEqual(cheap.differing, cheap.instead.small ?? 0)
    assert.strictEqual(good.differing, good.instead.large ?? 0)
    // Every decision was for one of the two, so what one leaves the other changes.
    assert.strictEqual(cheap.differing + good.differing, feedbacks)
    assert.isAtMost(cheap.cost_difference_usd, 0)
    assert.isAtLeast(good.quality_difference, 0)
    assert.isAtLeast(good.cost_difference_usd, 0)
    assert.match(await ok("replay", "--weights", "1,0,0"), /At the reference point these weights choose large:/)
  })

  it("stops at a position or a time", async () => {
    const atStart = await replay("--weights", "1,0,0", "--until", "0")
    assert.deepStrictEqual([atStart.position, atStart.decisions], [0, 0])
    const early = await replay("--weights", "1,0,0", "--until", "8")
    assert.strictEqual(early.position, 8)
    assert.isBelow(early.decisions, feedbacks)
    assert.strictEqual((await replay("--weights", "1,0,0", "--until", "2020-01-01T00:00:00Z")).position, 0)
    const all = await replay("--weights", "1,0,0")
    assert.strictEqual((await replay("--weights", "1,0,0", "--until", "2999-01-01")).position, all.position)
  })

  it("refuses weights and times that are none", async () => {
    await refused(/three numbers of 0 or more/, ["replay", "--weights", "1,2"])
    await refused(/a position of the log \(0 to \d+\) or a time/, ["replay", "--weights", "1,0,0", "--until", "soon"])
  })
})

describe("conduit state verify, of a pruned log", () => {
  it("refolds from the older snapshot that reaches what is left, and says so, or says that it cannot", async () => {
    // Simulated models are new to this log, so the service stores another snapshot.
    const conduit = await startConduit({ databaseUrl: database.url, env: { CONDUIT_ROUTER_ID: "tools" } })
    conduit.kill("SIGTERM")
    await conduit.ended()
    const { position, snapshots } = await stateOf()
    assert.lengthOf(snapshots, 2)
    const older = snapshots[1].watermark
    const prune = (last: number) =>
      query(
        database.url,
        "DELETE FROM learning_log USING routers r WHERE r.key = router_key AND r.id = 'tools' AND learning_log.position <= $1",
        [last]
      )
    await prune(older)
    assert.match(
      await ok("state", "verify"),
      new RegExp(`folded from the snapshot at position ${older} \\(the oldest retained commit is ${older + 1}\\)`)
    )
    await prune(older + 1)
    await refused(/no older snapshot reaches it: there is nothing to refold/, ["state", "verify"])
    assert.strictEqual((await stateOf()).position, position)
  })

  it("says that a snapshot does not meet what is left of the log", async () => {
    const whole = await run(["state", "show"])
    assert.notInclude(whole.stderr, "the log has no commits")
    const { snapshots } = await stateOf()
    const [newest, older] = snapshots
    const stored = await query<{ state: Buffer }>(
      database.url,
      "SELECT state FROM bandit_snapshots WHERE watermark = $1",
      [newest.watermark]
    )
    const put = (state: Uint8Array) =>
      query(database.url, "UPDATE bandit_snapshots SET state = $1 WHERE watermark = $2", [state, newest.watermark])
    await put(Buffer.from([0]))
    try {
      const { stderr } = await run(["state", "show"])
      assert.include(stderr, `the snapshot at position ${older.watermark} does not meet the log`)
    } finally {
      await put(stored[0]!.state)
    }
  })
})

describe("snapshots that cannot be used, and a log that does not reach back", () => {
  const stored = () =>
    query<{ state: Buffer }>(
      database.url,
      "SELECT state FROM bandit_snapshots s JOIN routers r ON r.key = s.router_key WHERE r.id = 'tools' ORDER BY watermark"
    )
  const damage = () =>
    query(
      database.url,
      "UPDATE bandit_snapshots s SET state = '\\x00' FROM routers r WHERE r.key = s.router_key AND r.id = 'tools'"
    )
  const life = async () => {
    const conduit = await startConduit({ databaseUrl: database.url, env: { CONDUIT_ROUTER_ID: "tools" } })
    conduit.kill("SIGTERM")
    const { code } = await conduit.ended()
    assert.strictEqual(code, 0)
    const said = (level: string, start: string) =>
      conduit.lines.some((line) => line["level"] === level && String(line["message"]).startsWith(start))
    return {
      isIncomplete: said("ERROR", "no snapshot of this policy can be used"),
      isPersisted: said("INFO", "Bandit state persisted successfully")
    }
  }

  it("stay until an exported state takes their place, or the loss is accepted", async () => {
    const file = Path.join(folder, "rescue.state")
    await life()
    await ok("state", "export", file)
    const before = await stateOf()
    await damage()
    await ok("state", "import", file, "--yes")
    const after = await stateOf()
    assert.deepStrictEqual([after.position, after.models], [before.position, before.models])

    await damage()
    assert.deepStrictEqual(await life(), { isIncomplete: true, isPersisted: false })
    assert.deepStrictEqual(
      (await stored()).map(({ state }) => [...state]),
      [[0], [0]]
    )
    await ok("state", "reset", "--all", "--yes")
    assert.deepStrictEqual(await life(), { isIncomplete: false, isPersisted: true })
    assert.strictEqual((await stateOf()).snapshots[0].condition, "good")
  })
})
