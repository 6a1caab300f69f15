import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Http from "node:http"
import { gzipSync } from "node:zlib"
import type { Browser } from "playwright-core"
import { chat, type ConduitProcess, killAll, request, startConduit } from "../support/conduit.ts"
import { open, seriousFaults, startBrowser, type Watched } from "../support/browser.ts"
import { has, runBeside } from "../support/external.ts"
import { createDatabase, type TestDatabase } from "../support/postgres.ts"
import { startUpstream, type Upstream } from "../support/processMock.ts"
import { eventually } from "../support/traffic.ts"

/** How good each model is at each task: the one that should get it is far better than the others. */
const worth = {
  code: { quick: 0.3, coder: 0.95, scholar: 0.4 },
  chat: { quick: 0.95, coder: 0.3, scholar: 0.35 },
  law: { quick: 0.2, coder: 0.3, scholar: 0.95 },
  maths: { quick: 0.3, coder: 0.95, scholar: 0.4 }
} as const
type Task = keyof typeof worth
type Model = keyof (typeof worth)["code"]
const tasks: ReadonlyArray<Task> = ["code", "chat", "law", "maths"]
const best = { code: "coder", chat: "quick", law: "scholar", maths: "coder" } as const
const isModel = (name: unknown): name is Model => typeof name === "string" && name in worth.code

// Of one price, so that nothing but judgements tells them apart.
const models = ["quick", "coder", "scholar"].map((id) => ({ id, inputUsdPerMTok: 1, outputUsdPerMTok: 2 }))

const agent = new Http.Agent({ keepAlive: true })

describe.skipIf(!has("chromium"))("the dashboard", () => {
  let database: TestDatabase
  let mock: Upstream
  let conduit: ConduitProcess
  let browser: Browser
  let seen: Watched
  let asked = 0

  const start = (port = "0") =>
    startConduit({
      databaseUrl: database.url,
      upstream: mock.url,
      models,
      env: { CONDUIT_ROUTER_ID: "watched", CONDUIT_PORT: port }
    })

  /** Asks and judges, a few at a time. */
  const traffic = async (
    count: number,
    tasksOf: (number: number) => Task = (number) => tasks[number % 4] ?? "code"
  ) => {
    let left = count
    const one = async () => {
      while (left-- > 0) {
        const task = tasksOf(asked++)
        const body = chat(`question ${asked} about ${task}`, { conduit: { task, preference: "quality" } })
        const answer = await request(`${conduit.url}/v1/chat/completions`, { agent, body })
        assert.strictEqual(answer.status, 200, answer.text)
        const model = answer.headers["x-conduit-model"]
        if (!isModel(model)) throw new Error(`an answer of ${model}`)
        const feedback = {
          decision_id: answer.headers["x-conduit-decision-id"],
          kind: "score",
          // Judges differ a little.
          value: worth[task][model] + ((asked * 7) % 11) / 110 - 0.05
        }
        const judged = await request(`${conduit.url}/v1/feedback`, { agent, body: feedback })
        assert.strictEqual(judged.status, 200, judged.text)
      }
    }
    await Promise.all([one(), one(), one(), one()])
  }

  const stats = async (query: string) => (await request(`${conduit.url}/v1/stats?${query}`, { agent })).json

  beforeAll(async () => {
    database = await createDatabase()
    mock = await startUpstream({ models: models.map(({ id }) => ({ name: id, quality: 0.9 })) })
    conduit = await start()
    browser = await startBrowser()
  })
  afterAll(async () => {
    await browser.close()
    agent.destroy()
    await killAll()
    await mock.close()
    await database.drop()
  })

  it("is small, and runs nothing but what is in it", async () => {
    const page = await request(`${conduit.url}/`)
    assert.strictEqual(page.status, 200)
    assert.isBelow(gzipSync(page.text).length, 120_000)
    const policy = String(page.headers["content-security-policy"])
    assert.include(policy, "default-src 'none'")
    assert.notInclude(policy, "unsafe")
    assert.match(policy, /script-src 'sha256-[^']+';/)
    assert.match(policy, /style-src 'sha256-[^']+';/)
  })

  it("says what to do next while there is nothing, by a command that works when pasted", async () => {
    seen = await open(browser, conduit.url)
    await seen.page.getByRole("heading", { name: "No requests yet" }).waitFor()
    const command = (await seen.page.locator(".command code").first().textContent()) ?? ""
    const said = await runBeside("sh", ["-c", command.replace("curl ", "curl -s ")])
    assert.match(said.stdout, /^HTTP\/1.1 200/)
    assert.match(said.stdout, /x-conduit-decision-id/i)
  })

  it("shows a request within two seconds of its answer, without being loaded again", async () => {
    await seen.page.locator("[data-decision]").first().waitFor()
    const before = await seen.page.locator("[data-decision]").count()
    await traffic(1)
    const answeredAt = performance.now()
    await seen.page.locator("[data-decision]").nth(before).waitFor({ timeout: 10_000 })
    // Two seconds on a machine of its own: here two cores are shared with other tests.
    assert.isBelow(performance.now() - answeredAt, 4_000)
  })

  it("shows that over 90 % of each task go to the right model after 1,000 requests", async () => {
    await traffic(1_000)
    const cell = (task: Task, model: string) =>
      seen.page.locator(`#tasks tr[data-task="${task}"] td[data-model="${model}"]`)
    /** What the table counts, once it has counted all. */
    const counted = () =>
      eventually("the table has all requests", 20_000, async () => {
        const counts = new Map<string, number>()
        for (const task of tasks)
          for (const { id } of models) {
            counts.set(`${task} ${id}`, Number(await cell(task, id).getAttribute("data-requests")))
          }
        const all = Array.from(counts.values()).reduce((sum, count) => sum + count, 0)
        return all === asked ? counts : undefined
      })
    const before = await counted()
    const more = 50 * tasks.length
    await traffic(more)
    const after = await counted()
    for (const task of tasks) {
      const name = `${task} ${best[task]}`
      assert.isAbove(((after.get(name) ?? 0) - (before.get(name) ?? 0)) / 50, 0.9, name)
      assert.include(await cell(task, best[task]).getAttribute("class"), "most")
    }
  })

  it("shows the numbers of /v1/stats and of /v1/models", async () => {
    await eventually("the same numbers", 20_000, async () => {
      const { groups, totals } = await stats("window=15m&interval=15s&group_by=task,model")
      const listed = (await request(`${conduit.url}/v1/models`, { agent })).json.data
      const text = (selector: string) => seen.page.locator(selector).first().textContent()
      const isSame =
        (await text("#tile-requests")) === totals.requests.toLocaleString("en-US") &&
        (await text("#tile-quality")) === totals.quality.mean.toFixed(2)
      if (!isSame) return undefined
      for (const group of groups.filter((one: any) => tasks.includes(one.task))) {
        const of = await text(`#tasks tr[data-task="${group.task}"] td[data-model="${group.model}"]`)
        if (of?.includes(`${group.judged} judged`) !== true) return undefined
      }
      for (const { id } of models) {
        const { mean } = listed.find((one: any) => one.id === id).conduit.quality
        const shown = await seen.page.locator(`#models tr[data-model="${id}"] [data-mean]`).getAttribute("data-mean")
        if (Number(shown) !== mean) return undefined
      }
      return true
    })
  })

  it("opens a decision to its whole explanation, and what is judged there changes what is learned", async () => {
    const { page } = seen
    await page.locator("[data-decision] button").first().click()
    const dialog = page.getByRole("dialog")
    await dialog.waitFor()
    assert.strictEqual(await dialog.locator(".candidates tbody tr").count(), 3)
    const learned = async () => Number(await dialog.locator("#learned").getAttribute("data-mean"))
    const before = await learned()
    await dialog.getByRole("button", { name: "Bad answer" }).click()
    await dialog.getByText("Stored, and learned from.").waitFor()
    const after = await eventually("another quality", 10_000, async () => {
      const now = await learned()
      return now === before ? undefined : now
    })
    assert.notStrictEqual(after, before)
    assert.deepEqual(await seriousFaults(page), [])
    await page.keyboard.press("Escape")
    await dialog.waitFor({ state: "hidden" })
  })

  it("decides a prompt under two settings side by side, and asks the model", async () => {
    const { page } = seen
    await page.locator("#try textarea").fill("What is 17 * 23?")
    await page.getByRole("button", { name: "Decide and ask the model" }).click()
    await page.locator("#try blockquote").nth(1).waitFor()
    assert.strictEqual(await page.locator("#try .candidates").count(), 2)
  })

  it("is readable in both themes and at 360 px, without scrolling sideways and without serious faults", async () => {
    for (const options of [{ colours: "light" }, { colours: "dark" }, { colours: "light", width: 360 }] as const) {
      const { errors, foreign, page } = await open(browser, conduit.url, options)
      await page.locator("#tasks table").waitFor()
      await page.locator("#share canvas").waitFor()
      const wide = await page.evaluate("document.documentElement.scrollWidth")
      assert.isAtMost(Number(wide), page.viewportSize()?.width ?? 0)
      assert.deepEqual(await seriousFaults(page), [], JSON.stringify(options))
      assert.deepEqual(errors, [])
      assert.deepEqual(foreign, [])
      await page.close()
    }
  })

  it("connects again by itself after a restart", async () => {
    const { page } = seen
    const port = new URL(conduit.url).port
    conduit.kill("SIGTERM")
    await conduit.ended()
    await page.getByText("No connection: trying again").waitFor()
    conduit = await start(port)
    await page.getByText("Running", { exact: true }).waitFor()
    const newest = page.locator("[data-decision]").first()
    const before = await newest.getAttribute("data-decision")
    await traffic(1)
    await eventually("the next decision", 10_000, async () =>
      (await newest.getAttribute("data-decision")) === before ? undefined : true
    )
  })

  it("has said nothing wrong and asked nobody else", () => {
    assert.deepEqual(seen.errors, [])
    assert.deepEqual(seen.foreign, [])
  })

  it("asks for a key once where keys are set", async () => {
    const guarded = await startConduit({ env: { CONDUIT_API_KEYS: "sk-ann" } })
    const { page } = await open(browser, guarded.url)
    await page.getByLabel("API key").fill("sk-wrong")
    await page.getByRole("button", { name: "Open" }).click()
    await page.getByText("The service does not accept that key.").waitFor()
    await page.getByLabel("API key").fill("sk-ann")
    await page.getByRole("button", { name: "Open" }).click()
    await page.getByRole("heading", { name: "No requests yet" }).waitFor()
    assert.include(await page.locator(".command code").first().textContent(), "authorization: Bearer $CONDUIT_API_KEY")
    await page.reload()
    await page.getByRole("heading", { name: "No requests yet" }).waitFor()
    assert.strictEqual(await page.locator("[role=alert]").count(), 0)
    await page.close()
  })

  it("shows the budgets that a key may see, and says of each part which scope it lacks", async () => {
    const headers = { authorization: "Bearer root-key-of-tests" }
    const { url } = await startConduit({
      upstream: mock.url,
      models,
      env: { CONDUIT_ADMIN_KEYS: "root:root-key-of-tests", CONDUIT_BUDGET_USD_PER_DAY: "5" }
    })
    const create = async (body: object) => String((await request(`${url}/v1/keys`, { body, headers })).json.secret)
    const viewer = await create({ name: "viewer", scopes: ["read"], limits: { usd_per_month: 40 } })
    const asker = await create({ name: "asker", scopes: ["route"] })
    assert.strictEqual((await request(`${url}/v1/chat/completions`, { headers, body: chat("hello") })).status, 200)

    const { page } = await open(browser, url)
    const use = async (key: string) => {
      await page.getByLabel("API key").fill(key)
      await page.getByRole("button", { name: "Open" }).click()
    }
    await use(asker)
    await page.getByText("it lacks the scope read").waitFor()
    await use(viewer)
    await page.locator("#try").getByText("it lacks the scope route").waitFor()
    await page.locator("#budgets").getByText("need a key with the scope read:all").waitFor()
    await page.locator('[data-budget="viewer"]').getByText("$0.00 of $40.00").waitFor()
    assert.strictEqual(await page.locator("[data-budget]").count(), 1)
    assert.deepEqual(await seriousFaults(page), [])
    await page.getByRole("button", { name: "Forget key" }).click()
    await use("root-key-of-tests")
    await page.locator("#budgets").getByText("All requests of").waitFor()
    assert.strictEqual(await page.locator("[data-budget]").count(), 2)
    const { data } = (await request(`${url}/v1/budgets`, { headers })).json
    const shown = await page.locator("[data-budget] .amount").first().textContent()
    assert.include(shown, `of $${data[0].day.limit_usd.toFixed(2)}`)
    await page.close()
  })
})
