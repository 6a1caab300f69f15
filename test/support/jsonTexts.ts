import * as FastCheck from "effect/FastCheck"

// JSON as others write it: white space anywhere, escapes, numbers that no double holds.

const space = FastCheck.constantFrom("", "", "", " ", "\n", "\t ", "  \r\n")
const number = FastCheck.constantFrom("0", "-1", "1.0", "1e400", "9007199254740993", "0.1000000000000000055", "12E-2")
const plain = FastCheck.string({ maxLength: 8 }).map((text) => JSON.stringify(text))
const escaped = FastCheck.constantFrom(
  '"\\u0041"',
  '"a\\/b"',
  '"\\""',
  '"\\\\"',
  '"\\ud83d\\ude42"',
  '"}],:{"',
  '"é🙂"'
)
const string = FastCheck.oneof(plain, escaped)
const leaf = FastCheck.oneof(number, string, FastCheck.constantFrom("true", "false", "null"))

const spaced = (parts: ReadonlyArray<string>, spaces: ReadonlyArray<string>) =>
  parts.map((part, i) => part + (spaces[i % Math.max(1, spaces.length)] ?? "")).join("")

const joined = (
  open: string,
  close: string,
  parts: ReadonlyArray<ReadonlyArray<string>>,
  spaces: ReadonlyArray<string>
) => spaced([open, ...parts.flatMap((part, i) => (i === 0 ? part : [",", ...part]))], spaces) + close

const { value: anyValue } = FastCheck.letrec<{ value: string }>((tie) => ({
  value: FastCheck.oneof(
    { depthSize: "small", withCrossShrink: true },
    leaf,
    FastCheck.tuple(FastCheck.array(tie("value"), { maxLength: 4 }), FastCheck.array(space)).map(([all, spaces]) =>
      joined(
        "[",
        "]",
        all.map((one) => [one]),
        spaces
      )
    ),
    FastCheck.tuple(
      FastCheck.array(FastCheck.tuple(string, tie("value")), { maxLength: 4 }),
      FastCheck.array(space)
    ).map(([all, spaces]) =>
      joined(
        "{",
        "}",
        all.map(([name, one]) => [name, ":", one]),
        spaces
      )
    )
  )
}))

/** A value's text, and what a parser makes of it. */
export const jsonTexts = anyValue.map((text): { readonly text: string; readonly value: unknown } => ({
  text,
  value: JSON.parse(text)
}))

/** An object's text with each of its members once. */
export const objectTexts = FastCheck.tuple(
  FastCheck.uniqueArray(FastCheck.tuple(string, anyValue), { maxLength: 6, selector: ([name]) => JSON.parse(name) }),
  FastCheck.array(space)
).map(([all, spaces]) => {
  const text = joined(
    "{",
    "}",
    all.map(([name, one]) => [name, ":", one]),
    spaces
  )
  return {
    text,
    value: JSON.parse(text) as Readonly<Record<string, unknown>>,
    members: all.map(([name, one]): readonly [string, string] => [JSON.parse(name), one])
  }
})
