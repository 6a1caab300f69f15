import * as Fs from "node:fs"

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

/** The stages of the Dockerfile of this repository; the last one is the image. */
export const dockerfileStages = (): ReadonlyArray<ReadonlyArray<Instruction>> => {
  const text = Fs.readFileSync(new URL("../../Dockerfile", import.meta.url), "utf8")
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
