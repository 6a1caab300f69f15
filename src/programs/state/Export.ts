import * as Command from "@effect/cli/Command"
import { writeFile } from "node:fs/promises"
import * as Effect from "effect/Effect"
import * as StateFile from "../../domain/learning/StateFile.ts"
import * as Fold from "../../domain/learning/Fold.ts"
import { newest, withRouter } from "../tools/OpenRouter.ts"
import { json, told } from "../tools/Told.ts"
import { file, fileTrouble } from "./Arguments.ts"

export const exportState = Command.make("export", { file, json }, ({ file, json }) =>
  withRouter((open) =>
    Effect.gen(function* () {
      const fold = yield* newest(open)
      const position = Fold.position(fold)
      const bytes = StateFile.encode({
        routerId: open.router.id,
        fingerprint: open.reader.policy.fingerprint,
        position,
        state: Fold.encode(fold)
      })
      yield* Effect.tryPromise({
        try: () => writeFile(file, bytes, { flag: "wx", mode: 0o600 }),
        catch: fileTrouble(file, "name a file that does not exist yet, in a folder that can be written")
      })
      yield* told(
        json,
        { file, router_id: open.router.id, position, bytes: bytes.length },
        `${file}: the state of router ${open.router.id} at position ${position}, ${bytes.length} bytes`
      )
    })
  )
).pipe(Command.withDescription("Write the newest state to a file, with a checksum"))
