import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"

/** An instruction of a Dockerfile: its name, and the rest with its lines joined. */
export interface Instruction {
  readonly name: string
  readonly value: string
}

/** What the image itself says about how it is run. */
export interface Image {
  readonly instructions: ReadonlyArray<Instruction>
  readonly env: Readonly<Record<string, string>>
  readonly command: ReadonlyArray<string>
  readonly healthcheck: ReadonlyArray<string>
  readonly directory: string
}

const root = Path.resolve(import.meta.dirname, "../..")

export const dockerfileText = (): string => Fs.readFileSync(Path.join(root, "Dockerfile"), "utf8")

/** The stages of the Dockerfile of this repository; the last one is the image. */
export const dockerfileStages = (): ReadonlyArray<ReadonlyArray<Instruction>> => {
  const text = dockerfileText()
  const stages: Array<Array<Instruction>> = []
  for (const line of text
    .replace(/^#.*\n/gm, "")
    .replace(/\\\n\s*/g, "")
    .split("\n")) {
    const [, name, value] = /^([A-Z]+)\s+(.*)$/.exec(line.trim()) ?? []
    if (name === undefined || value === undefined) continue
    if (name === "FROM") stages.push([])
    stages.at(-1)?.push({ name, value })
  }
  return stages
}

/** The exec form: a JSON array. */
const words = (value: string | undefined): ReadonlyArray<string> => JSON.parse(/\[.*\]/.exec(value ?? "")?.[0] ?? "[]")

export const image = (): Image => {
  const instructions = dockerfileStages().at(-1) ?? []
  const last = (name: string) => instructions.findLast((one) => one.name === name)?.value
  const env = instructions
    .filter(({ name }) => name === "ENV")
    .flatMap(({ value }) => [...value.matchAll(/([A-Z_]+)=(?:"([^"]*)"|(\S+))/g)])
    .map(([, name, quoted, plain]): [string, string] => [name ?? "", quoted ?? plain ?? ""])
  return {
    instructions,
    env: Object.fromEntries(env),
    command: [...words(last("ENTRYPOINT")), ...words(last("CMD"))],
    healthcheck: words(last("HEALTHCHECK")),
    directory: last("WORKDIR") ?? "/"
  }
}

/** Of a COPY: where it is from, and what. */
export const copied = (value: string) => {
  const parts = value.split(/\s+/)
  return {
    from: /^--from=(.*)$/.exec(parts[0] ?? "")?.[1],
    paths: parts.filter((part) => !part.startsWith("--")).slice(0, -1),
    target: parts.at(-1) ?? ""
  }
}

/**
 * Does what a stage does, its COPY and its RUN, in an empty folder that stands for its WORKDIR. Where it copies from
 * another stage, `stages` has that stage's folder. What `npm ci` would install is linked: this repository has it.
 */
export const carryOut = (
  instructions: ReadonlyArray<Instruction>,
  folder: string,
  stages: ReadonlyMap<string, { readonly folder: string; readonly workdir: string }>
): void => {
  for (const { name, value } of instructions) {
    if (name === "COPY") {
      const { from, paths, target } = copied(value)
      const stage = from === undefined ? undefined : stages.get(from)
      for (const path of paths) {
        const source =
          stage === undefined ? Path.join(root, path) : Path.join(stage.folder, Path.relative(stage.workdir, path))
        const isFolder = Fs.statSync(source).isDirectory()
        const destination = Path.join(folder, target)
        Fs.cpSync(source, isFolder ? destination : Path.join(destination, Path.basename(path)), { recursive: true })
      }
    }
    if (name === "RUN" && value.startsWith("npm ci ")) {
      Fs.symlinkSync(Path.join(root, "node_modules"), Path.join(folder, "node_modules"))
    } else if (name === "RUN") {
      execFileSync("sh", ["-c", value], { cwd: folder, stdio: ["ignore", "ignore", "inherit"] })
    }
  }
}
