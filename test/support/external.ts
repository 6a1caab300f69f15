import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import { text } from "node:stream/consumers"

/** Whether a program is there: it says its version. */
export const isInstalled = (program: string, versionArgs: ReadonlyArray<string>): boolean =>
  spawnSync(program, versionArgs, { stdio: "ignore", timeout: 20_000 }).status === 0

/** What some tests need of the machine, by the name of the leg that is skipped without it. */
const legs = {
  chromium: () => chromium !== undefined,
  kubectl: () => isInstalled("kubectl", ["version", "--client"]),
  otelcol: () => isInstalled("otelcol", ["--version"]),
  openssl: () => isInstalled("openssl", ["version"]),
  pgbouncer: () => pgbouncer !== undefined,
  pid1: () => isInstalled("unshare", [...asPid1.slice(1), "true"]),
  otlpreceiver: () => /version (?:[3-9]|\d\d)\./.test(run("prometheus", ["--version"]).stdout),
  prometheus: () => isInstalled("prometheus", ["--version"]),
  promtool: () => isInstalled("promtool", ["--version"]),
  redis: () => isInstalled("redis-server", ["--version"]),
  registry: () => isInstalled("npm", ["view", "effect@3.22.4", "version", "--fetch-timeout=5000", "--fetch-retries=0"]),
  terminal: () => isInstalled("script", ["-qec", "true", "/dev/null"])
} as const
export type Leg = keyof typeof legs | "helm"

/** A browser that speaks its protocol, by whichever name it is installed. */
export const chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) =>
  Fs.existsSync(path)
)

/** Runs a program as PID 1 of a namespace of its own. */
export const asPid1 = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]

/** Debian puts it where only root looks; `CONDUIT_TEST_PGBOUNCER` names another. */
export const pgbouncer = [
  process.env["CONDUIT_TEST_PGBOUNCER"] ?? "",
  "/usr/sbin/pgbouncer",
  "/usr/bin/pgbouncer"
].find((path) => Fs.existsSync(path))

/** `CONDUIT_TEST_REQUIRE=redis,helm`: legs that must not be skipped. */
const required = (process.env["CONDUIT_TEST_REQUIRE"] ?? "").split(",").filter((name) => name !== "")

/** Refuses names that are none: a misspelt leg would be skipped in silence. */
export const checkRequiredLegs = (): void => {
  const unknown = required.filter((name) => name !== "helm" && !(name in legs))
  if (unknown.length === 0) return
  throw new Error(
    `CONDUIT_TEST_REQUIRE names ${unknown.join(", ")}; legs are ${[...Object.keys(legs), "helm"].join(", ")}`
  )
}

/** For `skipIf(!has("redis"))`; fails the file where the leg is required and what it needs is missing. */
export const has = (leg: Exclude<Leg, "helm">): boolean => hasLeg(leg, legs[leg]())

export const hasLeg = (leg: Leg, isThere: boolean): boolean => {
  if (!isThere && required.includes(leg)) {
    throw new Error(`CONDUIT_TEST_REQUIRE asks for the leg ${leg}, and what it needs is not on this machine`)
  }
  return isThere
}

/** What a program says, with its exit code first. */
export const run = (
  program: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd?: string; readonly input?: string } = {}
): { readonly code: number | null; readonly stdout: string; readonly stderr: string } => {
  const { status, stderr, stdout } = spawnSync(program, args, { ...options, encoding: "utf8", timeout: 120_000 })
  return { code: status, stdout, stderr }
}

/** The same for what takes long: a blocked worker of the tests is taken for dead after a minute. */
export const runBeside = async (
  program: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd?: string } = {}
): Promise<ReturnType<typeof run>> => {
  const child = spawn(program, args, { ...options, stdio: ["ignore", "pipe", "pipe"] })
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")])
  return { code, stdout, stderr }
}
