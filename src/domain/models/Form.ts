import {
  changeMembers,
  type Edit,
  elementsOf,
  findMembersOfAll,
  type Member,
  membersOf,
  skipSpace,
  splice
} from "../basics/JsonText.ts"
import { finishReasonOf } from "./Finish.ts"
import { arrayOf, isObject, type JsonObject, membersInAll, partsText, partsThinking, textOf } from "./Json.ts"

// OpenAI's form of a chat answer as tables of rules, one a member. An answer that is in the form passes byte by byte; what
// is not is mended where it stands, and only that. The form is that of OpenAI's specification, but for `refusal` and
// `logprobs`, which every client tried does without.

/** How the client knows the answer. */
export interface Label {
  /** Made of its decision's, which feedback takes as well. */
  readonly id: string
  /** The model's id in Conduit. */
  readonly model: string
  readonly createdSeconds: number
  /** The client asked a stream for its usage. */
  readonly withUsage: boolean
  /** Who answers, by its name in the configuration. */
  readonly provider?: string
  /** The upstream keeps the answer, and may be asked for it. */
  readonly keeps?: boolean
  /** The answer that this one follows, as the client named it. */
  readonly previousId?: string
}

/** A value in an answer: what it is and where its text stands. Undefined and -1: there is none. */
interface Place {
  readonly value: unknown
  readonly text: string
  readonly start: number
  readonly end: number
  readonly edits: Array<Edit>
}

/** What a member becomes: undefined leaves it as it is, null leaves it out, else JSON. */
type Rule<A> = (place: Place, about: A) => string | null | undefined
type Form<A> = Readonly<Record<string, Rule<A>>>

const mendObject = <A>(place: Place, value: JsonObject, form: Form<A>, about: A): void => {
  const { edits, start, text } = place
  const members = membersOf(text, start)
  // An answer in the form, as most are, makes none.
  let changes: Map<string, string | null> | null = null
  for (const name in form) {
    const span = lastNamed(members, name)
    const inner =
      span === undefined
        ? { value: undefined, text, start: -1, end: -1, edits }
        : { value: value[name], text, start: span.valueStart, end: span.end, edits }
    const json = form[name]?.(inner, about)
    if (json === undefined || (json === null && span === undefined)) continue
    changes ??= new Map()
    changes.set(name, json)
  }
  if (changes !== null || hasTwins(members)) changeMembers(start, members, changes ?? new Map(), edits)
}

const lastNamed = (members: ReadonlyArray<Member>, name: string): Member | undefined => {
  for (let i = members.length - 1; i >= 0; i--) if (members[i]?.name === name) return members[i]
  return undefined
}

const hasTwins = (members: ReadonlyArray<Member>): boolean =>
  members.length > 16
    ? new Set(members.map(({ name }) => name)).size < members.length
    : members.some(({ name }, i) => lastNamed(members, name) !== members[i])

/** An object of this form; what is no object becomes what `otherwise` says. */
const object =
  <A>(form: Form<A>, otherwise: string | null | undefined): Rule<A> =>
  (place, about) => {
    if (!isObject(place.value)) return otherwise
    mendObject(place, place.value, form, about)
    return undefined
  }

/** A list of objects of this form, each about what `enter` says of it. */
const list =
  <A, B>(
    form: Form<B>,
    enter: (value: JsonObject, position: number, about: A) => B,
    otherwise: string | null | undefined
  ): Rule<A> =>
  ({ edits, start, text, value }, about) => {
    if (!Array.isArray(value)) return otherwise
    const starts = elementsOf(text, start)
    arrayOf(value).forEach((element, position) => {
      const at = starts[position]
      if (!isObject(element) || at === undefined) return
      mendObject({ value: element, text, start: at, end: at, edits }, element, form, enter(element, position, about))
    })
    return undefined
  }

const isMissing = (value: unknown) => value === undefined || value === null || value === ""

/** A text that says something; a number in its place is written as one. */
const someText =
  <A>(otherwise: (about: A) => string | null): Rule<A> =>
  ({ end, start, text, value }, about) => {
    if (textOf(value) !== null) return undefined
    const words = isMissing(value) || typeof value === "object" ? otherwise(about) : text.slice(start, end)
    return words === null ? null : JSON.stringify(words)
  }

const exactly =
  <A>(word: (about: A) => string): Rule<A> =>
  ({ value }, about) =>
    value === word(about) ? undefined : JSON.stringify(word(about))

/** A whole number, also where a fraction or a text stands for it. */
const wholeNumber = (value: unknown): number | null => {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value
  return typeof number === "number" && Number.isFinite(number) && number >= 0 ? Math.floor(number) : null
}
const integer =
  <A>(otherwise: (about: A) => number): Rule<A> =>
  ({ value }, about) =>
    typeof value === "number" && Number.isInteger(value) ? undefined : String(wholeNumber(value) ?? otherwise(about))

/** Left out where null stands for nothing. */
const noNull: Rule<unknown> = ({ value }) => (value === null ? null : undefined)

const serviceTiers = ["auto", "default", "flex", "scale", "priority"]
const serviceTier: Rule<unknown> = ({ value }) =>
  isMissing(value) || (typeof value === "string" && serviceTiers.includes(value)) ? undefined : null

/** Text, or null. Of a list of parts, as some send it, the text. */
const content =
  (otherwise: string | undefined): Rule<unknown> =>
  ({ value }) => {
    if (value === undefined) return otherwise
    if (value === null || typeof value === "string") return undefined
    if (!Array.isArray(value)) return typeof value === "object" ? "null" : JSON.stringify(String(value))
    return JSON.stringify(partsText(value))
  }

/** Of thoughts among the parts of the content: where clients look for them, beside it. */
const reasoningContent: Rule<{ readonly thinking: string }> = ({ value }, { thinking }) =>
  thinking === "" || textOf(value) !== null ? undefined : JSON.stringify(thinking)

const thinkingIn = (message: unknown): string => (isObject(message) ? partsThinking(message["content"]) : "")

/** JSON in a text; the JSON itself, as some send it, becomes its text. */
const callArguments =
  <A>(otherwise: (about: A) => string | null): Rule<A> =>
  ({ end, start, text, value }, about) => {
    if (typeof value === "string") return undefined
    if (value === null || value === undefined) return otherwise(about)
    return JSON.stringify(text.slice(start, end))
  }

const roles = ["assistant", "user", "system", "developer", "tool"]
const isRole = (value: unknown) => typeof value === "string" && roles.includes(value)

const usageForm: Form<JsonObject> = {
  prompt_tokens: integer(() => 0),
  completion_tokens: integer(() => 0),
  total_tokens: integer(
    (usage) => (wholeNumber(usage["prompt_tokens"]) ?? 0) + (wholeNumber(usage["completion_tokens"]) ?? 0)
  )
}

/** Counts in OpenAI's form; an object without any says nothing. */
const usage: Rule<unknown> = (place) => {
  const { value } = place
  if (!isObject(value)) return place.start === -1 ? undefined : null
  if (!hasCounts(value)) return null
  mendObject(place, value, usageForm, value)
  return undefined
}

/** What may be null in other people's answers and is not there in OpenAI's. */
const absentForm = { tool_calls: noNull, function_call: noNull, annotations: noNull } satisfies Form<unknown>

// A whole answer.

interface CallAbout {
  readonly id: string
}
const wholeCalls = list<ChoiceAbout, CallAbout>(
  {
    id: someText(({ id }) => id),
    type: someText(() => "function"),
    function: object({ name: someText(() => ""), arguments: callArguments(() => '""') }, undefined)
  },
  (_, position, { label, position: choice }) => ({ id: callId(label, choice, position) }),
  null
)

const callId = ({ id }: Label, choice: number, call: number) =>
  `call_${id.replace(/[^A-Za-z0-9]/g, "")}_${choice}_${call}`

interface ChoiceAbout {
  readonly label: Label
  readonly position: number
  readonly hasToolCalls: boolean
  readonly thinking: string
}

/** The finish reason of a choice that is over. */
const finished =
  (hasToolCalls: boolean): Rule<unknown> =>
  ({ value }) => {
    const reason = finishReasonOf(value, hasToolCalls) ?? (hasToolCalls ? "tool_calls" : "stop")
    return reason === value ? undefined : JSON.stringify(reason)
  }

const answerForm: Form<Label> = {
  // By which feedback names the decision.
  id: exactly(({ id }) => id),
  object: exactly(() => "chat.completion"),
  created: integer(({ createdSeconds }) => createdSeconds),
  model: exactly(({ model }) => model),
  choices: list<Label, ChoiceAbout>(
    {
      index: integer(({ position }) => position),
      message: object<ChoiceAbout>(
        {
          ...absentForm,
          role: ({ value }) => (isRole(value) ? undefined : '"assistant"'),
          content: content("null"),
          reasoning_content: reasoningContent,
          tool_calls: (place, about) => (place.start === -1 ? undefined : wholeCalls(place, about))
        },
        '{"role":"assistant","content":null}'
      ),
      finish_reason: (place, { hasToolCalls }) => finished(hasToolCalls)(place, null)
    },
    ({ message }, position, label) => ({
      label,
      position,
      hasToolCalls: isObject(message) && arrayOf(message["tool_calls"]).length > 0,
      thinking: thinkingIn(message)
    }),
    "[]"
  ),
  usage,
  service_tier: serviceTier,
  error: noNull
}

const isText = (value: unknown) => typeof value === "string" && value !== ""
const isWhole = (value: unknown) => typeof value === "number" && Number.isInteger(value)

const isPlainChoice = (choice: unknown): boolean => {
  if (!isObject(choice) || !isWhole(choice["index"])) return false
  const { finish_reason: reason, message } = choice
  return (
    isObject(message) &&
    isRole(message["role"]) &&
    (typeof message["content"] === "string" || message["content"] === null) &&
    message["tool_calls"] === undefined &&
    message["function_call"] === undefined &&
    message["annotations"] !== null &&
    reason === (finishReasonOf(reason, false) ?? "stop")
  )
}

const isPlainUsage = (counts: unknown): boolean =>
  counts === undefined ||
  (isObject(counts) &&
    isWhole(counts["prompt_tokens"]) &&
    isWhole(counts["completion_tokens"]) &&
    isWhole(counts["total_tokens"]) &&
    hasCounts(counts))

/** Whether nothing of an answer of texts is to be mended but for its names: of most, nothing else is. */
const isPlainAnswer = (body: JsonObject): boolean =>
  isText(body["id"]) &&
  body["object"] === "chat.completion" &&
  isWhole(body["created"]) &&
  Array.isArray(body["choices"]) &&
  body["choices"].every(isPlainChoice) &&
  isPlainUsage(body["usage"]) &&
  body["service_tier"] === undefined &&
  body["error"] === undefined

const renamed = ["id", "model"] as const

const plainAnswer = (json: string, start: number, body: JsonObject, { id, model }: Label): string | null => {
  if (!isPlainAnswer(body)) return null
  const { count, places } = findMembersOfAll(json, start, renamed)
  const [idPlace, modelPlace] = places
  // Else one of them stands there twice, or under a name with an escape.
  if (idPlace === undefined || modelPlace === undefined || idPlace.start === -1 || modelPlace.start === -1) return null
  if (count !== membersInAll(body)) return null
  return splice(json, [
    { start: idPlace.start, end: idPlace.end, text: JSON.stringify(id) },
    { start: modelPlace.start, end: modelPlace.end, text: JSON.stringify(model) }
  ])
}

/** Mends a whole answer: `body` is what its text is in JSON. */
export const mendAnswer = (json: string, body: JsonObject, label: Label): string => {
  const start = skipSpace(json, 0)
  return plainAnswer(json, start, body, label) ?? mendedAnswer(json, start, body, label)
}

/** The same by the rules, whatever the answer is. */
export const mendedAnswer = (json: string, start: number, body: JsonObject, label: Label): string => {
  const edits: Array<Edit> = []
  mendObject({ value: body, text: json, start, end: json.length, edits }, body, answerForm, label)
  return splice(json, edits)
}

// A chunk of a stream.

/** What the chunks before have said of one choice. */
interface ChoiceMemory {
  hasRole: boolean
  hasToolCalls: boolean
  readonly calls: Set<number>
  lastCall: number
}

/** What the chunks of one stream share. */
export interface StreamMemory {
  readonly label: Label
  created: number | null
  readonly choices: Map<number, ChoiceMemory>
}

export const makeMemory = (label: Label): StreamMemory => ({ label, created: null, choices: new Map() })

interface DeltaAbout {
  readonly label: Label
  readonly choice: number
  readonly memory: ChoiceMemory
  readonly thinking: string
}

interface CallChunkAbout {
  readonly id: string
  readonly index: number
  readonly isFirst: boolean
}

/** The call that a part belongs to: by its index; without one, an id begins a new call. */
const enterCall = (part: JsonObject, _: number, { choice, label, memory }: DeltaAbout): CallChunkAbout => {
  const given = wholeNumber(part["index"])
  const isNew = memory.calls.size === 0 || textOf(part["id"]) !== null
  const index = given ?? (isNew ? memory.lastCall + 1 : memory.lastCall)
  const isFirst = !memory.calls.has(index)
  memory.calls.add(index)
  memory.lastCall = index
  return { id: callId(label, choice, index), index, isFirst }
}

const deltaForm: Form<DeltaAbout> = {
  ...absentForm,
  role: ({ start, value }, { memory }) => {
    const isFirst = !memory.hasRole
    memory.hasRole = true
    if (isRole(value)) return undefined
    return isFirst ? '"assistant"' : start === -1 ? undefined : null
  },
  content: content(undefined),
  reasoning_content: reasoningContent,
  tool_calls: (place, about) => {
    if (arrayOf(place.value).length > 0) about.memory.hasToolCalls = true
    return place.start === -1 ? undefined : callChunks(place, about)
  }
}

const callChunks = list<DeltaAbout, CallChunkAbout>(
  {
    index: integer(({ index }) => index),
    id: someText(({ id, isFirst }) => (isFirst ? id : null)),
    type: someText(({ isFirst }) => (isFirst ? "function" : null)),
    function: object(
      {
        name: noNull,
        arguments: callArguments(() => null)
      },
      undefined
    )
  },
  enterCall,
  null
)

const enterChoice = ({ delta, index }: JsonObject, position: number, { choices, label }: StreamMemory): DeltaAbout => {
  const choice = wholeNumber(index) ?? position
  const memory = choices.get(choice) ?? { hasRole: false, hasToolCalls: false, calls: new Set(), lastCall: -1 }
  choices.set(choice, memory)
  return { label, choice, memory, thinking: thinkingIn(delta) }
}

const choiceForm: Form<DeltaAbout> = {
  index: integer(({ choice }) => choice),
  delta: (place, about) => {
    const isFirst = !about.memory.hasRole
    const json = object(deltaForm, undefined)(place, about)
    if (isObject(place.value)) return json
    about.memory.hasRole = true
    return isFirst ? '{"role":"assistant"}' : "{}"
  },
  finish_reason: ({ value }, { memory }) => {
    if (value === null) return undefined
    const reason = finishReasonOf(value, memory.hasToolCalls)
    return reason === value ? undefined : JSON.stringify(reason)
  }
}

const chunkForm: Form<StreamMemory> = {
  id: exactly(({ label }) => label.id),
  object: exactly(() => "chat.completion.chunk"),
  created: integer((memory) => memory.created ?? memory.label.createdSeconds),
  model: exactly(({ label }) => label.model),
  choices: list(choiceForm, enterChoice, "[]"),
  // Counts are told once, by the last chunk. Who did not ask for them sees none of it.
  usage: ({ value }, { label }) => (value === null && label.withUsage ? undefined : null),
  service_tier: serviceTier,
  error: noNull
}

const lastChunkForm: Form<StreamMemory> = { ...chunkForm, usage }

/** The edits that bring a chunk into OpenAI's form. `body` is what its text is in JSON. */
export const mendChunk = (json: string, body: JsonObject, memory: StreamMemory, isLast = false): Array<Edit> => {
  const edits: Array<Edit> = []
  memory.created ??= wholeNumber(body["created"])
  const place = { value: body, text: json, start: skipSpace(json, 0), end: json.length, edits }
  mendObject(place, body, isLast ? lastChunkForm : chunkForm, memory)
  return edits
}

/** A chunk that Conduit adds, with these members behind those that every chunk has. */
export const ownChunk = ({ created, label }: StreamMemory, members: string): string =>
  `{"id":${JSON.stringify(label.id)},"object":"chat.completion.chunk","created":${created ?? label.createdSeconds},` +
  `"model":${JSON.stringify(label.model)},${members}}`

/** Whether the counts say anything. */
export const hasCounts = (counts: JsonObject): boolean =>
  wholeNumber(counts["prompt_tokens"]) !== null || wholeNumber(counts["completion_tokens"]) !== null
