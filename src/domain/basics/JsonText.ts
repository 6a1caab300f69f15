// Where things stand in the text of JSON, and how it is changed in place: numbers, escapes, white space and the order of
// keys stay as they came. Every text here is valid JSON (it has been parsed): only its shape is looked for, by one pass
// that jumps over texts.

/** A member of an object: `start` is its name's quote, `valueStart` to `end` its value. */
export interface Member {
  readonly name: string
  readonly start: number
  readonly valueStart: number
  readonly end: number
}

/** A part of a text and what stands there instead; an insertion has no length. */
export interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

const quote = 0x22
const backslash = 0x5c

/** The first place from `at` on that is no white space. */
export const skipSpace = (text: string, at: number): number => {
  let i = at
  while (i < text.length && text.charCodeAt(i) <= 0x20) i++
  return i
}

/** Behind the quote that closes the text opened at `at`. */
export const endOfText = (text: string, at: number): number => {
  let end = text.indexOf('"', at + 1)
  while (end !== -1) {
    let i = end - 1
    while (text.charCodeAt(i) === backslash) i--
    if ((end - i) % 2 === 1) return end + 1
    end = text.indexOf('"', end + 1)
  }
  return text.length
}

const isOpening = (code: number) => code === 0x7b || code === 0x5b
const isClosing = (code: number) => code === 0x7d || code === 0x5d

/** Behind the value that begins at `at`. */
export const endOfValue = (text: string, at: number): number => {
  const first = text.charCodeAt(at)
  if (first === quote) return endOfText(text, at)
  let i = at
  if (!isOpening(first)) {
    for (; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code <= 0x20 || code === 0x2c || isClosing(code)) break
    }
    return i
  }
  let depth = 0
  while (i < text.length) {
    const code = text.charCodeAt(i)
    if (code === quote) {
      i = endOfText(text, i)
      continue
    }
    i++
    if (isOpening(code)) depth++
    else if (isClosing(code) && --depth === 0) break
  }
  return i
}

const nameOf = (text: string, start: number, end: number): string => {
  const raw = text.slice(start + 1, end - 1)
  return raw.includes("\\") ? String(JSON.parse(text.slice(start, end))) : raw
}

/** The members of the object that begins at `at`, in their order, each as often as it is there. */
export const membersOf = (text: string, at: number): ReadonlyArray<Member> => {
  const members: Array<Member> = []
  let i = skipSpace(text, at + 1)
  while (i < text.length && text.charCodeAt(i) === quote) {
    const nameEnd = endOfText(text, i)
    // Behind the name come the colon and the value.
    const valueStart = skipSpace(text, skipSpace(text, nameEnd) + 1)
    const end = endOfValue(text, valueStart)
    members.push({ name: nameOf(text, i, nameEnd), start: i, valueStart, end })
    i = skipSpace(text, skipSpace(text, end) + 1)
  }
  return members
}

/** Where the value of a member stands, and how many members there are in all. */
export interface MemberPlace {
  readonly count: number
  /** -1 where there is none of that name, as it is written without an escape. */
  readonly valueStart: number
  readonly end: number
}

/** The last member of that name of the object that begins at `at`, and how many members the object has. */
export const findMember = (text: string, at: number, name: string): MemberPlace => {
  let count = 0
  let foundStart = -1
  let foundEnd = -1
  let i = skipSpace(text, at + 1)
  while (i < text.length && text.charCodeAt(i) === quote) {
    const nameEnd = endOfText(text, i)
    const valueStart = skipSpace(text, skipSpace(text, nameEnd) + 1)
    const end = endOfValue(text, valueStart)
    count++
    if (nameEnd - i === name.length + 2 && text.startsWith(name, i + 1)) {
      foundStart = valueStart
      foundEnd = end
    }
    i = skipSpace(text, skipSpace(text, end) + 1)
  }
  return { count, valueStart: foundStart, end: foundEnd }
}

/** Where the values of some members stand. */
export interface FoundAll {
  /** Of the members of all objects in the text: each has a colon outside of texts. */
  readonly count: number
  /** By the names that were asked for: where the value of the last member of that name begins, -1 without one, and ends. */
  readonly places: ReadonlyArray<{ readonly start: number; readonly end: number }>
}

/** Of the object that begins at `at`. Whole, because it is one pass. */
export const findMembersOfAll = (text: string, at: number, names: ReadonlyArray<string>): FoundAll => {
  const places = names.map(() => ({ start: -1, end: -1 }))
  let count = 0
  let depth = 0
  let textStart = at
  for (let i = at; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === quote) {
      textStart = i
      i = endOfText(text, i) - 1
    } else if (code === 0x3a) {
      count++
      if (depth !== 1) continue
      for (let n = 0; n < names.length; n++) {
        const name = names[n] ?? ""
        if (!text.startsWith(name, textStart + 1) || text.charCodeAt(textStart + name.length + 1) !== quote) continue
        const start = skipSpace(text, i + 1)
        places[n] = { start, end: endOfValue(text, start) }
      }
    } else if (isOpening(code)) depth++
    else if (isClosing(code)) depth--
  }
  return { count, places }
}

/** Where the elements of the array that begins at `at` begin. */
export const elementsOf = (text: string, at: number): ReadonlyArray<number> => {
  const starts: Array<number> = []
  let i = skipSpace(text, at + 1)
  while (i < text.length && text.charCodeAt(i) !== 0x5d) {
    starts.push(i)
    const comma = skipSpace(text, endOfValue(text, i))
    if (text.charCodeAt(comma) !== 0x2c) break
    i = skipSpace(text, comma + 1)
  }
  return starts
}

/**
 * Adds the edits that give members of the object at `at` these values, in JSON; null leaves a member out, and one that is
 * not there is put first. Of members of one name the last one stands, as parsers have it; the others are left out.
 */
export const changeMembers = (
  at: number,
  members: ReadonlyArray<Member>,
  values: ReadonlyMap<string, string | null>,
  edits: Array<Edit>
): void => {
  const lastOf = new Map<string, number>()
  members.forEach(({ name }, i) => lastOf.set(name, i))
  const isKept = ({ name }: Member, i: number) => lastOf.get(name) === i && values.get(name) !== null
  const hasKept = members.some(isKept)

  const added: Array<string> = []
  for (const [name, json] of values) {
    if (json !== null && !lastOf.has(name)) added.push(`${JSON.stringify(name)}:${json}`)
  }
  if (added.length > 0) edits.push({ start: at + 1, end: at + 1, text: added.join(",") + (hasKept ? "," : "") })

  let i = 0
  for (let member = members[i]; member !== undefined; member = members[i]) {
    if (isKept(member, i)) {
      const json = values.get(member.name)
      if (typeof json === "string") edits.push({ start: member.valueStart, end: member.end, text: json })
      i++
      continue
    }
    // A run of members that are left out goes with the comma behind it, or with the one before it.
    const before = members[i - 1]
    let end = member.end
    for (let next = members[i]; next !== undefined && !isKept(next, i); next = members[++i]) end = next.end
    const after = members[i]
    if (after !== undefined) edits.push({ start: member.start, end: after.start, text: "" })
    else edits.push({ start: before?.end ?? member.start, end, text: "" })
  }
}

const byStart = (a: Edit, b: Edit) => a.start - b.start

/** They are found in this order but for a few. */
const inOrder = (edits: ReadonlyArray<Edit>): ReadonlyArray<Edit> => {
  let before = -1
  for (const { start } of edits) {
    if (start < before) return edits.toSorted(byStart)
    before = start
  }
  return edits
}

/** The text with its edits, which do not overlap. */
export const splice = (text: string, edits: ReadonlyArray<Edit>): string => {
  if (edits.length === 0) return text
  let spliced = ""
  let from = 0
  for (const { end, start, text: replacement } of inOrder(edits)) {
    spliced += text.slice(from, start) + replacement
    from = end
  }
  return spliced + text.slice(from)
}

/** The object's text with these members changed, as `changeMembers` says. The text holds nothing but the object. */
export const withMembers = (text: string, values: ReadonlyMap<string, string | null>): string => {
  const at = skipSpace(text, 0)
  const edits: Array<Edit> = []
  changeMembers(at, membersOf(text, at), values, edits)
  return splice(text, edits)
}
