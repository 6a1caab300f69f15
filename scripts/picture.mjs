// node scripts/picture.mjs: makes docs/dashboard.png, the picture of the README. Starts the built service with simulated
// models in a folder of its own, asks and judges for three minutes, and looks at the dashboard by Chromium.
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { chromium } from "playwright-core"
import { root } from "./bundle.mjs"

const seconds = 180
const tasks = {
  code: [
    "Write a Python function that sorts a list",
    { "sim-small": 0.45, "sim-code": 0.92, "sim-medium": 0.7, "sim-large": 0.9 }
  ],
  math: [
    "Solve the equation 3 * x + 4 = 10",
    { "sim-small": 0.4, "sim-code": 0.78, "sim-medium": 0.68, "sim-large": 0.93 }
  ],
  translation: [
    "Translate to French: good morning",
    { "sim-small": 0.72, "sim-code": 0.5, "sim-medium": 0.85, "sim-large": 0.93 }
  ],
  chat: ["Hello, how are you today?", { "sim-small": 0.8, "sim-code": 0.6, "sim-medium": 0.85, "sim-large": 0.9 }]
}

const folder = mkdtempSync(join(tmpdir(), "conduit-picture-"))
const service = spawn(process.execPath, [join(root, "dist", "bin", "conduit.js"), "serve"], {
  cwd: folder,
  env: { PATH: process.env.PATH, HOME: folder, CONDUIT_PORT: "0", CONDUIT_SIMULATE: "true", LOG_FORMAT: "json" },
  stdio: ["ignore", "pipe", "inherit"]
})
const url = await new Promise((resolve) =>
  createInterface({ input: service.stdout }).on("line", (line) => {
    const { message, url } = JSON.parse(line)
    if (message === "ready") resolve(url)
  })
)

const send = (path, body) =>
  fetch(url + path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) })

const endsAt = Date.now() + 1000 * seconds
let asked = 0
const client = async () => {
  while (Date.now() < endsAt) {
    const number = asked++
    const [task, [prompt, worth]] = Object.entries(tasks)[number % 4]
    const messages = [{ role: "user", content: `${prompt} (${number})` }]
    const answer = await send("/v1/chat/completions", {
      model: "auto",
      stream: number % 3 === 0,
      messages,
      conduit: { task }
    })
    await answer.text()
    const quality = worth[answer.headers.get("x-conduit-model")] + (Math.random() - 0.5) / 5
    const feedback = {
      decision_id: answer.headers.get("x-conduit-decision-id"),
      kind: "score",
      value: Math.min(1, Math.max(0, quality))
    }
    if (Math.random() < 0.6) await send("/v1/feedback", feedback)
  }
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"]
})
try {
  const page = await browser.newPage({ viewport: { width: 1360, height: 1130 } })
  const watching = page.goto(url)
  await Promise.all([client(), client(), client(), watching])
  await page.waitForTimeout(12_000)
  await page.screenshot({ path: process.argv[2] ?? join(root, "docs", "dashboard.png") })
} finally {
  await browser.close()
  service.kill("SIGTERM")
  await once(service, "exit")
  rmSync(folder, { recursive: true, force: true })
}
