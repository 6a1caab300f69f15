/** Deaths that are older do not count. */
const windowMillis = 60_000
/** So many within the window are too many. */
export const deathsAllowed = 5
const firstDelayMillis = 100

/**
 * How long to wait before what has died is started again, milliseconds: 100, and twice as long for each further death
 * within a minute. Null when it has died more than five times within a minute: it would die again.
 *
 * `deathsMillis` are the times of its deaths, the newest last and included.
 */
export const restartDelay = (deathsMillis: ReadonlyArray<number>): number | null => {
  const newest = deathsMillis.at(-1) ?? 0
  const recent = deathsMillis.filter((at) => newest - at < windowMillis).length
  return recent > deathsAllowed ? null : firstDelayMillis * 2 ** Math.max(0, recent - 1)
}
