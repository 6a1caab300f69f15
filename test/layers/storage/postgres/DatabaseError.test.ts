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

  const answered = (code: string, severity: string) => reasonOf(Object.assign(new Error("no"), { code, severity }))

  it("takes a pooler without a server for a database that is away, and the same codes of a statement for bugs", () => {
    for (const code of ["08P01", "XX000"]) {
      assert.deepStrictEqual([answered(code, "FATAL"), answered(code, "ERROR")], ["connection", "unexpected"], code)
    }
    assert.strictEqual(answered("58000", "FATAL"), "connection")
    assert.strictEqual(answered("3D000", "FATAL"), "unexpected")
  })

  it("blames the server, and not the statement, for its files, its limits and its operators", () => {
    const reasons = ["58P01", "58030", "53400", "55000", "57000", "42P01", "0A000"].map((code) =>
      answered(code, "ERROR")
    )
    assert.deepStrictEqual(reasons, [...Array<string>(5).fill("system_error"), "unexpected", "unexpected"])
    assert.deepStrictEqual(
      ["53100", "53200", "53300", "55P03", "57014", "57P01"].map((code) => answered(code, "ERROR")),
      ["disk_full", "timeout", "too_many_connections", "timeout", "timeout", "connection"]
    )
  })
})
