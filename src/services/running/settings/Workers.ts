import * as Parse from "./Parsers.ts"
import type { Platform, ReadSetting } from "./Setting.ts"

/** Processes that serve; one serves by itself, several have a parent. */
export const workers = (setting: ReadSetting, { cores }: Platform) =>
  setting(
    "CONDUIT_WORKERS",
    Parse.integerOr("auto", cores, 1, 64),
    1,
    "processes of `conduit serve` that share the address, each with a core, a pool of connections and memory of its own; `auto` is one for each core that the process may use",
    "2"
  )
