/**
 * What can be seen of a prompt without understanding it: counts of characters, of marks and of telling words. Coordinate 0
 * is 1; the others are scaled to about [0, 1] and then centred on ordinary traffic, so that 0 is an ordinary prompt.
 */
export const version = "lex1"

/** Name of each coordinate, what it counts, and its centre: the average over public prompts, rounded. */
const table = [
  ["bias", 0],
  ["length", 0.52], // logarithm of the number of characters
  ["word_length", 0.45], // letters per word
  ["digits", 0.08], // share of the characters
  ["capitals", 0.16], // share of the letters
  ["lines", 0.22], // logarithm of the number of lines
  ["non_ascii", 0], // share of the characters
  ["non_latin", 0], // share of the letters from U+0370 on
  ["math_marks", 0.03], // share of + = < > ^ * / % and arrows
  ["code_marks", 0.07], // share of { } [ ] ( ) ; _ ` #
  ["latex", 0.05], // backslashes and dollars
  ["fences", 0], // lines of three backticks
  ["options", 0.2], // lines that begin with A. or (A) or A)
  ["questions", 0.22], // question marks
  ["quotes", 0.03], // share of quotation marks
  ["ask_fact", 0.16], // who, when, where, which, what ...
  ["ask_reason", 0.08], // why, how, explain, prove ...
  ["ask_amount", 0.13], // many, much, total, calculate ...
  ["create", 0.04], // write, story, poem, imagine ...
  ["transform", 0.06], // summarize, translate, rewrite, classify ...
  ["code_words", 0.05], // function, python, return, class ...
  ["science", 0.05], // energy, cell, equation, patient ...
  ["society", 0.05], // law, court, market, history ...
  ["dialogue", 0.08] // you, i, my, please, thanks ...
] as const

export const names: ReadonlyArray<string> = table.map(([name]) => name)
export const dimension: number = table.length

const centres: ReadonlyArray<number> = table.map(([, centre]) => centre)

const wordGroups: ReadonlyArray<readonly [name: (typeof table)[number][0], words: string]> = [
  ["ask_fact", "who whom whose when where which what name did does is are"],
  [
    "ask_reason",
    "why how explain prove describe discuss compare because reason cause causes effect argue justify should"
  ],
  [
    "ask_amount",
    "many much total calculate compute solve sum average percent each per cost costs left more less twice half number find determine value probability minutes hours dollars"
  ],
  [
    "create",
    "write compose story poem essay imagine create generate design draft song novel character creative blog script letter email plan"
  ],
  [
    "transform",
    "summarize summarise summary translate translation rewrite paraphrase classify extract edit correct convert list table json format csv xml schema bullet sentence sentences following text passage"
  ],
  [
    "code_words",
    "code function functions python javascript typescript java sql html css class def return import const let var string array integer int bool method program algorithm implement bug error compile api regex query script test assert loop"
  ],
  [
    "science",
    "energy mass force velocity cell cells protein dna gene species atom molecule electron acid reaction equation theorem matrix function field temperature pressure voltage current patient disease symptoms treatment drug blood planet light wave integral derivative group ring"
  ],
  [
    "society",
    "law court state contract defendant plaintiff constitution rights market price firm demand supply tax company investment economy government war century king president history political society moral ethics religion philosophy psychology theory behavior"
  ],
  ["dialogue", "you your i my me we please hello hi thanks thank can could would help want need like"]
]

const fnvBasis = 0x811c9dc5
const fnvPrime = 0x01000193
const groupOf = new Map<number, number>()
for (const [name, words] of wordGroups) {
  for (const word of words.split(" ")) {
    let hash = fnvBasis
    for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), fnvPrime)
    if (!groupOf.has(hash)) groupOf.set(hash, names.indexOf(name))
  }
}

const other = 0
const lower = 1
const upper = 2
const digit = 3
const mathMark = 4
const codeMark = 5
const quote = 6
const kindOf = new Uint8Array(128)
for (let code = 97; code <= 122; code++) {
  kindOf[code] = lower
  kindOf[code - 32] = upper
}
for (let code = 48; code <= 57; code++) kindOf[code] = digit
for (const mark of "+=<>^*/%|") kindOf[mark.charCodeAt(0)] = mathMark
for (const mark of "{}[]();_`#") kindOf[mark.charCodeAt(0)] = codeMark
for (const mark of "\"'") kindOf[mark.charCodeAt(0)] = quote

/** Read of a longer text: its beginning and its end, so many characters each. */
const sideLength = 4096

const saturate = (value: number): number => Math.min(1, value)

/** Of the text that was read last: how often each kind of character and each group of words was seen. */
const kinds = new Uint32Array(7)
const groups = new Uint32Array(dimension)
const count = (kind: number) => kinds[kind] ?? 0

/** What else was seen in it. */
interface Counts {
  readonly words: number
  readonly nonAscii: number
  readonly nonLatin: number
  /** Letters of the Latin script beyond ASCII. */
  readonly latin: number
  readonly lines: number
  readonly latex: number
  readonly fences: number
  readonly options: number
  readonly questions: number
}

/**
 * Reads the text in one pass. Whole, because it is on the path of every request: in parts each would read the text again.
 */
const countIn = (text: string): Counts => {
  groups.fill(0)
  kinds.fill(0)
  let words = 0
  let nonAscii = 0
  let nonLatin = 0
  let latin = 0
  let lines = 1
  let latex = 0
  let fences = 0
  let options = 0
  let questions = 0
  let hash = fnvBasis
  let wordLength = 0

  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : 32
    const kind = code < 128 ? (kindOf[code] ?? other) : other
    if (kind === lower || kind === upper) {
      kinds[kind] = (kinds[kind] ?? 0) + 1
      hash = Math.imul(hash ^ (code | 32), fnvPrime)
      wordLength += 1
      continue
    }
    if (wordLength > 0) {
      const group = groupOf.get(hash)
      if (group !== undefined) groups[group] = (groups[group] ?? 0) + 1
      words += 1
      hash = fnvBasis
      wordLength = 0
    }
    if (kind !== other) {
      kinds[kind] = (kinds[kind] ?? 0) + 1
      if (code === 96 && text.startsWith("```", i) && text.charCodeAt(i - 1) !== 96) fences += 1
    } else if (code >= 128) {
      nonAscii += 1
      if (code >= 0x370 && (code < 0x2000 || code >= 0x3040)) nonLatin += 1
      else if (code >= 0xc0 && code < 0x250) latin += 1
    } else if (code === 10) {
      lines += 1
      if (isOption(text, i + 1)) options += 1
    } else if (code === 92 || code === 36) latex += 1
    else if (code === 63) questions += 1
  }
  return { words, nonAscii, nonLatin, latin, lines, latex, fences, options, questions }
}

/** The features of a prompt, of which at most 8,192 characters are read; the newest text is expected at the end. */
export const extract = (text: string): Float32Array => {
  const isWhole = text.length <= 2 * sideLength
  const read = isWhole ? text : text.slice(0, sideLength) + text.slice(-sideLength)
  const { fences, latex, latin, lines, nonAscii, nonLatin, options, questions, words } = countIn(read)
  const letters = count(lower) + count(upper)
  const characters = Math.max(1, read.length)
  const marks = [
    1,
    saturate(Math.log(1 + text.length) / Math.log(32_768)),
    saturate(letters / Math.max(1, words) / 10),
    saturate((count(digit) * 5) / characters),
    saturate((count(upper) * 3) / Math.max(1, letters)),
    saturate(Math.log(lines) / Math.log(256)),
    saturate(nonAscii / characters),
    saturate(nonLatin / Math.max(1, letters + latin + nonLatin)),
    saturate((count(mathMark) * 12) / characters),
    saturate((count(codeMark) * 8) / characters),
    saturate(latex / 12),
    saturate(fences / 2),
    saturate(options / 4),
    saturate(questions / 3),
    saturate((count(quote) * 15) / characters)
  ]
  const x = new Float32Array(dimension)
  for (let i = 0; i < dimension; i++) {
    const group = groups[i] ?? 0
    const raw = marks[i] ?? saturate((group * (i === marks.length ? 4 : 8)) / (words + 10))
    x[i] = raw - (centres[i] ?? 0)
  }
  return x
}

/** Whether a line begins as an answer to choose does: A. or A) or (A), up to J. */
const isOption = (text: string, start: number): boolean => {
  const isBracketed = text.charCodeAt(start) === 40
  const letter = text.charCodeAt(isBracketed ? start + 1 : start)
  if (!(letter >= 65 && letter <= 74)) return false
  const after = text.charCodeAt(isBracketed ? start + 2 : start + 1)
  return after === 41 || (after === 46 && !isBracketed)
}
