import * as Fs from "node:fs"

/** The middle of the values; of two middles the upper one. */
export const median = (values: ReadonlyArray<number>): number => quantile(values, 0.5)

export const quantile = (values: ReadonlyArray<number> | Float32Array, share: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

/** User and system time of a process with all its threads so far; Linux counts it in ticks of 10 ms. */
export const cpuMicros = (pid: number): number => {
  const fields = Fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ")
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

/** The most memory that a process had resident so far, MiB. */
export const peakMiB = (pid: number): number => {
  const found = /VmHWM:\s+(\d+) kB/.exec(Fs.readFileSync(`/proc/${pid}/status`, "utf8"))
  return Number(found?.[1]) / 1024
}

/** What stands behind `--name`. */
export const option = (name: string): string | undefined => {
  const at = process.argv.indexOf(`--${name}`)
  return at === -1 ? undefined : process.argv[at + 1]
}

/** Number of the command line after the benchmark's name, options left out. */
export const argument = (index: number, fallback: number): number => {
  const given = process.argv.slice(3).filter((word, i, all) => !word.startsWith("--") && !all[i - 1]?.startsWith("--"))
  return given[index] === undefined ? fallback : Number(given[index])
}

/** One line: a name and figures, right-aligned. */
export const row = (name: string, cells: ReadonlyArray<number | string>, width = 10): void => {
  const shown = cells.map((cell) =>
    (typeof cell === "string" ? cell : cell.toFixed(cell < 10 ? 2 : cell < 100 ? 1 : 0)).padStart(width)
  )
  console.log(name.padEnd(34) + shown.join(""))
}
