import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { lockDirectory } from "../../../../../src/layers/storage/postgres/embedded/DirectoryLock.ts"

const inFolder = <A, E>(use: (file: string) => Effect.Effect<A, E>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "conduit-lock-"))),
    (folder) => use(path.join(folder, "postgres.lock")),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
  )

/** As a process with the number of this one writes it in another container. */
const elsewhere = `${process.pid} 1 another-start/pid:[1] box\n`

const locked = (file: string) => Effect.scoped(lockDirectory(path.dirname(file), file))

describe("DirectoryLock, of a process in another container or on another machine", () => {
  it.effect("refuses the folder while that touches its lock, whatever its number is here", () =>
    inFolder((file) =>
      Effect.gen(function* () {
        fs.writeFileSync(file, elsewhere)
        const refused = yield* Effect.fork(Effect.flip(locked(file)))
        yield* TestClock.adjust("3 seconds")
        fs.utimesSync(file, new Date(0), new Date(0))
        yield* TestClock.adjust("1 second")
        const { message, reason } = yield* Fiber.join(refused)
        assert.strictEqual(reason, "in_use")
        assert.include(message, `process ${process.pid} of another container or machine (box): stop it`)
        assert.strictEqual(fs.readFileSync(file, "utf8"), elsewhere)
      })
    )
  )

  it.effect("takes the folder when nobody touched the lock for ten seconds, and touches its own", () =>
    inFolder((file) =>
      Effect.gen(function* () {
        fs.writeFileSync(file, elsewhere)
        const holding = yield* Effect.fork(
          Effect.scoped(Effect.zipRight(lockDirectory(path.dirname(file), file), Effect.sleep("1 minute")))
        )
        yield* TestClock.adjust("9 seconds")
        assert.strictEqual(fs.readFileSync(file, "utf8"), elsewhere)
        yield* TestClock.adjust("1 second")
        assert.notStrictEqual(fs.readFileSync(file, "utf8"), elsewhere)
        fs.utimesSync(file, new Date(0), new Date(0))
        yield* TestClock.adjust("1 second")
        assert.isAbove(fs.statSync(file).mtimeMs, 0)
        yield* Fiber.interrupt(holding)
        assert.isFalse(fs.existsSync(file))
      })
    )
  )
})
