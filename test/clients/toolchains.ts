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
const pip = (interpreter: string, folder: string, requirements: string) =>
  builtOnce(folder, digest(requirements), async () => {
    await build("python3", ["-m", "venv", "--clear", folder], folder)
    await build(interpreter, ["-m", "pip", "install", "--quiet", "-r", requirements], folder)
  })
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
    await pip(interpreter, folder, requirements)
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

/** A generator, which makes a client of the service's document. */
export interface Generator extends Omit<Toolchain, "build"> {
  readonly id: string
  readonly build: (url: string) => Promise<Driver>
}

const document = async (url: string, folder: string): Promise<string> => {
  const file = Path.join(folder, "openapi.json")
  const answer = await fetch(`${url}/openapi.json`)
  Fs.writeFileSync(file, await answer.text())
  return file
}

const pythonClient: Generator = {
  id: "openapi-python-client",
  programs: python.programs,
  build: async (url) => {
    const from = Path.join(sources, "generated", "python")
    const folder = cacheOf("generated", "python")
    const interpreter = Path.join(folder, "bin", "python")
    await pip(interpreter, folder, Path.join(from, "requirements.txt"))
    const made = Path.join(folder, "made", "conduit_client")
    Fs.mkdirSync(Path.dirname(made), { recursive: true })
    const options = ["--path", await document(url, folder), "--output-path", made, "--meta", "none", "--overwrite"]
    await build(Path.join(folder, "bin", "openapi-python-client"), ["generate", ...options], folder)
    return {
      command: [interpreter, Path.join(from, "driver.py")],
      env: {
        PYTHONPATH: [Path.join(sources, "python"), Path.dirname(made)].join(Path.delimiter),
        PYTHONDONTWRITEBYTECODE: "1"
      }
    }
  }
}

const typescriptClient: Generator = {
  id: "openapi-fetch",
  programs: [["npm", "--version"]],
  build: async (url) => {
    const from = Path.join(sources, "generated", "typescript")
    const folder = cacheOf("generated", "typescript")
    const manifest = Path.join(from, "package.json")
    for (const name of ["package.json", "driver.ts"]) Fs.copyFileSync(Path.join(from, name), Path.join(folder, name))
    await builtOnce(folder, digest(manifest), () =>
      build("npm", ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"], folder)
    )
    const program = (name: string) => Path.join(folder, "node_modules", ".bin", name)
    await build(program("openapi-typescript"), [await document(url, folder), "-o", "schema.d.ts"], folder)
    const strict = ["--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck", "--types", "node"]
    await build(program("tsc"), [...strict, "--lib", "es2023,dom,dom.iterable,dom.asynciterable", "driver.ts"], folder)
    return { command: [process.execPath, Path.join(folder, "driver.js")] }
  }
}

export const generators: ReadonlyArray<Generator> = [pythonClient, typescriptClient]

/** The first program that is not there. */
export const missing = ({ programs }: Pick<Toolchain, "programs">): string | null =>
  programs.find(([program, ...args]) => !isInstalled(program, args))?.[0] ?? null
