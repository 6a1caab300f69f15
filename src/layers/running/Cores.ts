import * as Fs from "node:fs"
import { availableParallelism } from "node:os"
import * as Path from "node:path"

/** Where Linux says how the process may use processors: its groups, and the files of all groups. */
export interface Groups {
  /** `/proc/self/cgroup`. */
  readonly own: string
  /** `/sys/fs/cgroup`. */
  readonly root: string
}

const linux: Groups = { own: "/proc/self/cgroup", root: "/sys/fs/cgroup" }

/**
 * Processors that the process may use: those that the system has for it, or fewer where its container is limited. At least
 * 1. Node counts the limit itself from version 24 on.
 */
export const cores = (): number => Math.max(1, Math.floor(Math.min(availableParallelism(), cpuLimit(linux))))

/**
 * The strictest limit of the process's groups, in processors; Infinity without one. By cgroup v2 (`cpu.max`), and by v1 where
 * that has the processors. https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
 */
export const cpuLimit = ({ own, root }: Groups): number => {
  const limits = read(own)
    .split("\n")
    .flatMap((line) => {
      const [, controllers = "", group = ""] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
      if (controllers === "") return upwards(group).map((folder) => maxOf(Path.join(root, folder)))
      return controllers.split(",").includes("cpu")
        ? upwards(group).map((folder) => quotaOf(Path.join(root, "cpu", folder)))
        : []
    })
  return Math.min(Number.POSITIVE_INFINITY, ...limits)
}

/** The group and all that it is in. A container sees its own as the root, whatever its name is outside. */
const upwards = (group: string): ReadonlyArray<string> => {
  const parts = group.split("/").filter((part) => part !== "")
  return ["", ...parts.map((_, i) => parts.slice(0, i + 1).join("/"))]
}

/** `150000 100000`: microseconds of processor time in each period, and the period; `max` is no limit. */
const maxOf = (folder: string): number => {
  const [quota, period] = read(Path.join(folder, "cpu.max")).trim().split(" ")
  return shareOf(quota, period)
}

/** The same in two files; -1 is no limit. */
const quotaOf = (folder: string): number =>
  shareOf(read(Path.join(folder, "cpu.cfs_quota_us")).trim(), read(Path.join(folder, "cpu.cfs_period_us")).trim())

const shareOf = (quota: string | undefined, period: string | undefined): number => {
  const share = Number(quota) / Number(period)
  return Number.isFinite(share) && share > 0 ? share : Number.POSITIVE_INFINITY
}

/** Empty where there is none, or none that may be read. */
const read = (file: string): string => {
  try {
    return Fs.readFileSync(file, "utf8")
  } catch {
    return ""
  }
}
