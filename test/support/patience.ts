import * as Os from "node:os"

/**
 * How long what may hang is waited for: the given time on a quiet machine, and on a busy one as many times that as there
 * are processes for each core. It says that nothing comes any more, never how fast something has to be.
 */
export const patientMs = (limitMs: number): number =>
  limitMs * Math.max(1, (Os.loadavg()[0] ?? 0) / Os.availableParallelism())
