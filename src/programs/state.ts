import * as Command from "@effect/cli/Command"
import { exportState } from "./state/Export.ts"
import { importState } from "./state/Import.ts"
import { reset } from "./state/Reset.ts"
import { show } from "./state/Show.ts"
import { verify } from "./state/Verify.ts"

/** `conduit state`: what was learned, to look at, to carry elsewhere, to check. */
export const state = Command.make("state").pipe(
  Command.withDescription("Show, export, import, reset or verify what was learned"),
  Command.withSubcommands([show, exportState, importState, reset, verify])
)
