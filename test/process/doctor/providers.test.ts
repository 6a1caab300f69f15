import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { type FakeProvider, models, password, type Site, startSite } from "../../support/doctor.ts"
import { yaml } from "../../support/conduit.ts"

let site: Site
beforeAll(async () => {
  site = await startSite()
})
afterAll(() => site?.close())

describe("conduit doctor and a provider", () => {
  const with_ = async (answer: Partial<FakeProvider["answer"]>, check: () => Promise<void>) => {
    const healthy = site.provider.answer
    site.provider.answer = { ...healthy, ...answer }
    await check().finally(() => (site.provider.answer = healthy))
  }

  it("refuses the key", () =>
    with_({ key: "another" }, () => site.failing("provider local", /401, the key is refused/, {})))

  it("takes the key", () =>
    with_({ key: "canary-provider" }, () =>
      site.doctor({}, "--strict").then(({ code }) => assert.strictEqual(code, 0))
    ))

  it("shows its list to everybody, which says nothing about the key", async () => {
    const detailWith = async (key: string | null) => {
      let detail = ""
      await with_({ key }, async () => {
        const { lines } = await site.doctor()
        detail = lines.find(({ name }) => name === "provider local")?.detail ?? ""
      })
      return detail
    }
    assert.match(await detailWith(null), /; it asks nobody for a key there, so yours was not tried$/)
    assert.match(await detailWith("canary-provider"), /, has small, large$/)
  })

  it("is down", async () => {
    const file = Path.join(site.folder, "down.yaml")
    Fs.writeFileSync(file, yaml("http://127.0.0.1:1/v1", models))
    await site.failing("provider local", /^127\.0\.0\.1:1: connect ECONNREFUSED/, { CONDUIT_CONFIG: file })
  })

  it("has a password in its address, which is refused without being shown", async () => {
    const file = Path.join(site.folder, "password.yaml")
    Fs.writeFileSync(file, yaml(`http://user:${password}@127.0.0.1:1/v1`, models))
    await site.failing("models", /without user and password/, { CONDUIT_CONFIG: file })
  })

  it("has trouble", () => with_({ status: 503 }, () => site.failing("provider local", /503/, {})))

  it("does not list its models, or not this one", async () => {
    await with_({ status: 404 }, () => site.warning("provider local", /is 404/, {}))
    await with_({ ids: ["small", "largo"] }, () =>
      site.warning("provider local", /its list has no large \(did you mean largo\?\)/, {})
    )
  })

  it("lacks its key in the environment", async () => {
    const file = Path.join(site.folder, "two.yaml")
    const text = Fs.readFileSync(site.env["CONDUIT_CONFIG"]!, "utf8")
    const other = '  other: { kind: openai-compatible, baseUrl: "http://127.0.0.1:1/v1", apiKey: "${OTHER_KEY}" }'
    Fs.writeFileSync(file, text.replace("\nmodels:", `\n${other}\nmodels:`))
    await site.warning("provider other", /^left out with its models: OTHER_KEY not set$/, { CONDUIT_CONFIG: file })
    await site.failing("models", /no model is usable; provider local is left out: LOCAL_KEY is not set/, {
      LOCAL_KEY: ""
    })
  })

  it("has another time", async () => {
    await with_({ dateMs: Date.now() - 20_000 }, () => site.warning("clock", /ahead of provider local/, {}))
    await with_({ dateMs: Date.now() + 3_600_000 }, () => site.failing("clock", /60 min behind provider local/, {}))
  })

  it("is simulated, or has no price", async () => {
    await site.warning("models", /4, simulated/, { CONDUIT_SIMULATE: "true" })
    const file = Path.join(site.folder, "unpriced.yaml")
    const text = Fs.readFileSync(site.env["CONDUIT_CONFIG"]!, "utf8")
    Fs.writeFileSync(file, text.replace("inputUsdPerMTok: 0.1, ", ""))
    await site.warning("models", /no price for small: /, { CONDUIT_CONFIG: file })
  })
})
