import { assert, describe, it } from "@effect/vitest"
import { toDatabaseError } from "../../../../src/layers/storage/postgres/DatabaseError.ts"

const reasonOf = (error: unknown) => toDatabaseError("commit")(error).reason

describe("databaseError", () => {
  it("calls a connect time-out a time-out, though the pool ends the socket for it", () => {
    const ended = new Error("Connection terminated unexpectedly")
    assert.strictEqual(reasonOf(ended), "connection")
    assert.strictEqual(
      reasonOf(new Error("Connection terminated due to connection timeout", { cause: ended })),
      "timeout"
    )
    assert.strictEqual(reasonOf(new Error("timeout exceeded when trying to connect")), "timeout")
  })

  it("reads the code under the wrappers before any message", () => {
    const full = Object.assign(new Error("could not extend file: timeout of patience"), { code: "53100" })
    assert.strictEqual(reasonOf(new Error("Failed to execute statement", { cause: full })), "disk_full")
    const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" })
    assert.strictEqual(reasonOf(new Error("statement", { cause: refused })), "connection")
  })

  it("takes a pooler without a server for a database that is away, and the same codes of a statement for bugs", () => {
    const answered = (code: string, severity: string) => reasonOf(Object.assign(new Error("no"), { code, severity }))
    for (const code of ["08P01", "58000", "XX000"]) {
      assert.deepStrictEqual([answered(code, "FATAL"), answered(code, "ERROR")], ["connection", "unexpected"], code)
    }
    assert.strictEqual(answered("3D000", "FATAL"), "unexpected")
  })
})
