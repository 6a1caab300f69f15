import { cpus, loadavg } from "node:os"

/** The machine's load in the last minute; a word of warning where others work on it too. */
export const machine = (): { readonly load: number; readonly cores: number; readonly isBusy: boolean } => {
  const [load = 0] = loadavg()
  const cores = cpus().length
  return { load, cores, isBusy: load > cores }
}

export const warnIfBusy = (): void => {
  const { cores, isBusy, load } = machine()
  console.log(`node ${process.version}, ${cores} cores, load ${load.toFixed(2)}, ${new Date().toISOString()}`)
  if (isBusy) console.warn("WARNING: others work on this machine: only ratios within a round mean anything")
}
