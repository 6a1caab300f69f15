import { storedStatuses } from "../../src/domain/learning/Feedback.ts"

// What is tried with every client, and what is right: the same for all of them. `npm run test:clients` runs it with clients
// in other languages, `test/process/clients.test.ts` with those in JavaScript, and `docs/clients.md` shows it.

/** What a client is told to do; each in its own way. */
export interface Call {
  readonly do: "text" | "stream" | "tools" | "streamTools" | "structured" | "feedback"
  readonly model: string
  readonly key: string
  /** A stream is asked for its token counts. */
  readonly usage: boolean
}

/** What came of it, as the client's own types have it; what a client does not show is left out or null. */
export interface Got {
  readonly text?: string | null
  readonly calls?: ReadonlyArray<{ readonly id?: string | null; readonly name: string; readonly arguments: unknown }>
  readonly finish?: string | null
  readonly usage?: { readonly input: number | null; readonly output: number | null } | null
  readonly value?: unknown
  readonly error?: { readonly class: string; readonly status?: number | null; readonly message: string }
}

export interface Case {
  readonly name: string
  /** The column of the table; several cases may share one. */
  readonly column: string
  readonly do: Call["do"]
  /** What the upstream does; the key of `upstreams`. */
  readonly upstream: keyof typeof upstreams | "nothing"
  readonly usage?: true
  readonly wrongKey?: true
  /** Half a minute passes without a token. */
  readonly isSlow?: true
  /** Null if it is right, else what is wrong. */
  readonly problem: (got: Got) => string | null
}

/** The models of the mock upstream, by what they do. */
export const upstreams = {
  plain: {},
  lean: { scenario: "lean" },
  "ill-typed": { scenario: "ill_typed" },
  parallel: { scenario: "parallel_calls" },
  "no-done": { faults: { no_done: 1 } },
  thinking: { scenario: "thinking" },
  cut: { faults: { cut: 1 } },
  breaking: { scenario: "error" },
  "late-first": { scenario: "late_first" },
  "late-second": { scenario: "late_second" },
  limited: { faults: { "429": 1 } },
  failing: { faults: { "500": 1 } }
} as const

/** Each client has these to itself: what fails for one opens no circuit for another. */
export const ownUpstreams: ReadonlyArray<Case["upstream"]> = ["cut", "breaking", "limited", "failing"]

export const question = "What is the weather in Paris? Use the tool."
export const tool = {
  name: "get_weather",
  parameters: { type: "object" as const, properties: { city: { type: "string" as const } }, required: ["city"] }
}

const first = (...problems: ReadonlyArray<string | null>) => problems.find((problem) => problem !== null) ?? null

const noError = ({ error }: Got) => (error === undefined ? null : `${error.class}: ${error.message}`)
const hasText = ({ text }: Got) => (text?.includes("simulated") === true ? null : `the text is ${JSON.stringify(text)}`)
const finishes =
  (word: RegExp) =>
  ({ finish }: Got) =>
    finish === undefined || finish === null || word.test(finish) ? null : `the finish reason is ${finish}`
const hasUsage = ({ usage }: Got) =>
  usage !== undefined && usage !== null && Number(usage.input) > 0 && Number(usage.output) > 0
    ? null
    : `the usage is ${JSON.stringify(usage)}`

const answers = (got: Got) => first(noError(got), hasText(got), finishes(/^(stop|end_turn)$/i)(got))

const calls =
  (count: number) =>
  (got: Got): string | null => {
    const wanted = { name: tool.name, arguments: { city: "Paris" } }
    const seen = (got.calls ?? []).map(({ arguments: given, name }) => ({ name, arguments: given }))
    const isRight = seen.length === count && seen.every((call) => JSON.stringify(call) === JSON.stringify(wanted))
    const ids = new Set((got.calls ?? []).flatMap(({ id }) => id ?? []))
    return first(
      noError(got),
      isRight ? null : `the calls are ${JSON.stringify(seen)}`,
      ids.size === 0 || ids.size === count ? null : `the ids are ${JSON.stringify([...ids])}`
    )
  }

const isCity = (got: Got) =>
  first(
    noError(got),
    JSON.stringify(got.value) === '{"city":"Paris"}' ? null : `the value is ${JSON.stringify(got.value)}`
  )

/** An error that says it: its status, where the client shows one, and the words that the user needs. */
const fails =
  (words: RegExp, status?: (status: number) => boolean) =>
  ({ error, text }: Got): string | null => {
    if (error?.class === noAnswer) return error.message
    if (error === undefined) return `no error, and the text is ${JSON.stringify(text)}`
    if (status !== undefined && typeof error.status === "number" && !status(error.status)) {
      return `the status is ${error.status}`
    }
    return words.test(error.message) ? null : `the message is ${JSON.stringify(error.message)}`
  }

/** The class of what the runner says of a driver that answered nothing, which is no error of a client. */
export const noAnswer = "NoAnswer"

const hundred = (from: number) => (status: number) => status >= from && status < from + 100

export const cases: ReadonlyArray<Case> = [
  {
    name: "a text",
    column: "text",
    do: "text",
    upstream: "plain",
    problem: (got) => first(answers(got), hasUsage(got))
  },
  { name: "a stream", column: "stream", do: "stream", upstream: "plain", problem: answers },
  {
    name: "the counts of a stream",
    column: "usage in a stream",
    do: "stream",
    upstream: "plain",
    usage: true,
    problem: (got) => first(answers(got), hasUsage(got))
  },
  { name: "a tool", column: "tools", do: "tools", upstream: "plain", problem: calls(1) },
  { name: "a tool in a stream", column: "tools", do: "streamTools", upstream: "plain", problem: calls(1) },
  { name: "two calls", column: "parallel calls", do: "tools", upstream: "parallel", problem: calls(2) },
  {
    name: "two calls in a stream",
    column: "parallel calls",
    do: "streamTools",
    upstream: "parallel",
    problem: calls(2)
  },
  { name: "structured output", column: "structured output", do: "structured", upstream: "plain", problem: isCity },
  { name: "a lean text", column: "lean answer", do: "text", upstream: "lean", problem: answers },
  { name: "a lean stream", column: "lean answer", do: "stream", upstream: "lean", problem: answers },
  { name: "a lean tool", column: "lean answer", do: "tools", upstream: "lean", problem: calls(1) },
  { name: "a lean tool in a stream", column: "lean answer", do: "streamTools", upstream: "lean", problem: calls(1) },
  { name: "an ill-typed text", column: "ill-typed answer", do: "text", upstream: "ill-typed", problem: answers },
  { name: "an ill-typed stream", column: "ill-typed answer", do: "stream", upstream: "ill-typed", problem: answers },
  { name: "an ill-typed tool", column: "ill-typed answer", do: "tools", upstream: "ill-typed", problem: calls(1) },
  { name: "a stream without [DONE]", column: "no `[DONE]`", do: "stream", upstream: "no-done", problem: answers },
  { name: "comments before a stream", column: "comments", do: "stream", upstream: "thinking", problem: answers },
  { name: "a cut stream", column: "cut stream", do: "stream", upstream: "cut", problem: fails(/./) },
  {
    name: "an error in a stream",
    column: "error in a stream",
    do: "stream",
    upstream: "breaking",
    problem: fails(/gave up/)
  },
  {
    name: "half a minute before the first token",
    column: "silence of 30 s",
    do: "stream",
    upstream: "late-first",
    isSlow: true,
    problem: answers
  },
  {
    name: "half a minute after the first token",
    column: "silence of 30 s",
    do: "stream",
    upstream: "late-second",
    isSlow: true,
    problem: answers
  },
  {
    name: "a wrong key",
    column: "401",
    do: "text",
    upstream: "plain",
    wrongKey: true,
    problem: fails(/key/i, (status) => status === 401)
  },
  {
    name: "an unknown model",
    column: "404",
    do: "text",
    upstream: "nothing",
    problem: fails(/nothing/, (status) => status === 404)
  },
  {
    name: "a stream of an unknown model",
    column: "404",
    do: "stream",
    upstream: "nothing",
    problem: fails(/nothing/, (status) => status === 404)
  },
  {
    name: "a rate limit",
    column: "429",
    do: "text",
    upstream: "limited",
    problem: fails(/limit/i, (status) => status === 429)
  },
  {
    name: "all models fail",
    column: "5xx",
    do: "text",
    upstream: "failing",
    problem: fails(/fail/i, hundred(500))
  },
  {
    name: "all models fail before a stream",
    column: "5xx",
    do: "stream",
    upstream: "failing",
    problem: fails(/fail/i, hundred(500))
  }
]

const ofGenerated = new Set([
  "a text",
  "a stream",
  "the counts of a stream",
  "a wrong key",
  "an unknown model",
  "a stream of an unknown model",
  "a rate limit",
  "all models fail"
])

/** What is tried with clients that are generated from /openapi.json. */
export const casesOfGenerated: ReadonlyArray<Case> = [
  ...cases.filter(({ name }) => ofGenerated.has(name)),
  {
    name: "feedback by its kind",
    column: "feedback",
    do: "feedback",
    upstream: "plain",
    problem: (got) =>
      first(noError(got), storedStatuses.some((status) => status === got.value) ? null : JSON.stringify(got))
  }
]

export const columns: ReadonlyArray<string> = [...new Set(cases.map(({ column }) => column))]
