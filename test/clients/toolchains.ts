import { spawn } from "node:child_process"
import { once } from "node:events"
import { createHash } from "node:crypto"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { isInstalled } from "../support/external.ts"
import { type Client, root } from "./clients.ts"

// How the drivers in each language are built, into a cache outside the project. They take nothing but packages from the
// registries of their languages.

export interface Driver {
  readonly command: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
}

export interface Toolchain {
  /** What must be on this machine. */
  readonly programs: ReadonlyArray<readonly [program: string, ...versionArgs: ReadonlyArray<string>]>
  readonly build: (client: Client) => Promise<Driver>
}

const home = process.env["XDG_CACHE_HOME"] ?? Path.join(Os.homedir(), ".cache")
const cacheOf = (...parts: ReadonlyArray<string>) => {
  const folder = Path.join(home, "conduit-clients", ...parts)
  Fs.mkdirSync(folder, { recursive: true })
  return folder
}
export const sources = Path.join(root, "test", "clients")

const buildLimitMs = 20 * 60_000

/** Niced: a build is in nobody's way. */
const build = async (command: string, args: ReadonlyArray<string>, cwd: string, env: Record<string, string> = {}) => {
  const options = {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"] as ["ignore", "pipe", "pipe"]
  }
  const child = spawn("nice", [command, ...args], options)
  let said = ""
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (said += String(chunk)))
  const timer = setTimeout(() => child.kill("SIGKILL"), buildLimitMs)
  const [code] = await once(child, "close")
  clearTimeout(timer)
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${String(code)}\n${said.slice(-3000)}`)
  return said
}

/** Built once for the same pins. */
const builtOnce = async (folder: string, marker: string, make: () => Promise<unknown>) => {
  const file = Path.join(folder, ".built")
  if (Fs.existsSync(file) && Fs.readFileSync(file, "utf8") === marker) return
  await make()
  Fs.writeFileSync(file, marker)
}
const digest = (...files: ReadonlyArray<string>) => {
  const hash = createHash("sha256")
  for (const file of files) hash.update(Fs.readFileSync(file))
  return hash.digest("hex")
}

const python: Toolchain = {
  programs: [["python3", "-m", "venv", "--help"]],
  build: async ({ id, pinned: [file] }) => {
    const requirements = Path.join(root, file)
    const folder = cacheOf("python", id)
    const interpreter = Path.join(folder, "bin", "python")
    await builtOnce(folder, digest(requirements), async () => {
      await build("python3", ["-m", "venv", "--clear", folder], folder)
      await build(interpreter, ["-m", "pip", "install", "--quiet", "-r", requirements], folder)
    })
    return {
      command: [interpreter, Path.join(Path.dirname(requirements), "driver.py")],
      env: { PYTHONPATH: Path.join(sources, "python"), PYTHONDONTWRITEBYTECODE: "1" }
    }
  }
}

const go: Toolchain = {
  programs: [["go", "version"]],
  build: async ({ id, pinned: [file] }) => {
    const module = Path.dirname(Path.join(root, file))
    const program = Path.join(cacheOf("go"), id)
    await build("go", ["build", "-p", "1", "-o", program, "."], module, { GOWORK: "off" })
    return { command: [program] }
  }
}

const java: Toolchain = {
  programs: [
    ["javac", "-version"],
    ["mvn", "--version"]
  ],
  build: async ({ id, pinned: [file] }) => {
    const pom = Path.join(root, file)
    const folder = cacheOf("java", id)
    const paths = Path.join(folder, "classpath")
    const files = [Path.join(sources, "java", "Told.java"), Path.join(Path.dirname(pom), "Driver.java")]
    await builtOnce(folder, digest(pom, ...files), async () => {
      const goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath"
      await build("mvn", ["-q", "-B", "-f", pom, goal, `-Dmdep.outputFile=${paths}`], folder)
      await build("javac", ["-nowarn", "-cp", Fs.readFileSync(paths, "utf8"), "-d", folder, ...files], folder)
    })
    const classpath = `${folder}:${Fs.readFileSync(paths, "utf8").trim()}`
    return { command: ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", classpath, "Driver"] }
  }
}

const rust: Toolchain = {
  programs: [["cargo", "--version"]],
  build: async ({ id, pinned: [file] }) => {
    const target = cacheOf("rust")
    const manifest = Path.join(root, file)
    await build("cargo", ["build", "--quiet", "-j", "1", "--manifest-path", manifest], target, {
      CARGO_TARGET_DIR: target,
      CARGO_PROFILE_DEV_DEBUG: "0"
    })
    return { command: [Path.join(target, "debug", id)] }
  }
}

export const toolchains: Readonly<Record<Exclude<Client["language"], "JavaScript">, Toolchain>> = {
  Python: python,
  Go: go,
  Java: java,
  Rust: rust
}

/** The first program that is not there. */
export const missing = ({ programs }: Toolchain): string | null =>
  programs.find(([program, ...args]) => !isInstalled(program, args))?.[0] ?? null
