import { type Edit, elementsOf, endOfText, type Member, membersOf, skipSpace, splice } from "../basics/JsonText.ts"
import { type AnswerStream, graceMs, type StreamFailure, type StreamState } from "./AnswerStream.ts"
import { errorIn, errorOf, type ErrorSaid } from "./ErrorSaid.ts"
import { finishReasonOf } from "./Finish.ts"
import { hasCounts, type Label, makeMemory, mendChunk, ownChunk, type StreamMemory } from "./Form.ts"
import { arrayOf, isObject, type JsonObject, parseJson, textOf } from "./Json.ts"
import { oneCallEach } from "./OneCallEach.ts"
import { choiceSaid, type ChoiceSaid, isEmpty, type Said, usageIn } from "./Said.ts"

/** Chunks without any text, call or refusal that are kept back at most: an answer that stays empty is another model's chance. */
const mostHeld = 256

/** More calls than that are not told apart. */
const mostCalls = 64

/**
 * Reads a stream of chat chunks event by event: what of it goes to the client, in OpenAI's form, what it says of itself,
 * and when it is over. It is whole when every choice has a finish reason and the body ends, or `[DONE]` comes, or a second
 * has passed; or when `[DONE]` comes before a finish reason. Pure: time comes with the events, in milliseconds of any clock.
 * Whole, because each event may change what every later one means.
 */
export class ChatStream implements AnswerStream {
  private readonly memory: StreamMemory
  private readonly label: Label
  /** How many choices the request asked for. */
  private readonly asked: number
  private readonly finishes = new Map<number, string | null>()
  private readonly templates = new Templates()
  private ready: Array<string> = []
  private current: StreamState = "open"
  private lastFinishMs: number | null = null
  private hasSubstance = false
  private lastChunk: string | null = null
  private usage: JsonObject | null = null
  private usageText: string | null = null
  private finishReason: string | null = null
  private servedModel: string | null = null
  private id: string | null = null
  private isRefusal = false
  private characters = 0
  private readonly toolCallIds = new Set<string>()

  constructor(label: Label, asked: number) {
    this.label = label
    this.asked = asked
    this.memory = makeMemory(label)
  }

  get state(): StreamState {
    return this.current
  }

  /** There is something for the client, and no other model will answer instead. */
  get isOpened(): boolean {
    return this.hasSubstance || this.current === "complete"
  }

  /** There is something to take, or nothing more will come. */
  get isReady(): boolean {
    return this.current === "complete" || (this.isOpened && this.ready.length > 0)
  }

  /** When the stream is over though nothing more comes; null while a choice has not finished. */
  get graceUntilMs(): number | null {
    return this.lastFinishMs !== null && this.isFinished ? this.lastFinishMs + graceMs : null
  }

  /** Every choice has its finish reason. */
  get isFinished(): boolean {
    if (this.finishes.size < this.asked) return false
    for (const reason of this.finishes.values()) if (reason === null) return false
    return this.finishes.size > 0
  }

  /** An event with its name, null where it has none. */
  event(name: string | null, data: string, nowMs: number): void {
    if (this.current !== "open") return
    if (name === null && this.likeTheLast(data)) return
    if (name !== "error" && data.trim() === "[DONE]") return this.complete()
    const body = parseJson(data)
    // What another protocol adds, under a name of its own.
    if (isForeign(name) && !(isObject(body) && (isChunk(body) || isObject(body["error"])))) return
    const error = name === "error" ? errorOf(body ?? data) : errorIn(body)
    if (error !== null) return this.fail("reported", error.message ?? "the provider reported an error", error)
    // A heartbeat.
    if (!isObject(body) || !isChunk(body)) return
    this.chunk(data, body, nowMs)
  }

  /** The body is over: it ended, or it broke (`detail` says how). */
  bodyEnd(detail: string | null): void {
    if (this.current !== "open") return
    if (this.isFinished) return this.complete()
    if (this.finishes.size === 0) {
      const what = detail ?? "the answer has no events"
      return this.fail(detail === null ? "bad_answer" : "cut", what, null)
    }
    this.fail("cut", detail ?? "the stream ended before its finish reason", null)
  }

  /** Time has passed. */
  tick(nowMs: number): void {
    if (this.current === "open" && this.graceUntilMs !== null && nowMs >= this.graceUntilMs) this.complete()
  }

  /** What goes to the client next: the data of events, in order. */
  take(): ReadonlyArray<string> {
    if (!this.isOpened || this.ready.length === 0) return []
    const taken = this.ready
    this.ready = []
    return taken
  }

  /** The chunk with the counts that follows a complete stream; null where the client did not ask, or nobody counted. */
  get usageChunk(): string | null {
    if (!this.label.withUsage || this.usage === null || !hasCounts(this.usage)) return null
    if (this.lastChunk !== null) return this.lastChunk
    const chunk = ownChunk(this.memory, `"choices":[],"usage":${this.usageText ?? JSON.stringify(this.usage)}`)
    return splice(chunk, mendChunk(chunk, { choices: [], usage: this.usage }, this.memory, true))
  }

  get said(): Said {
    const { characters, finishReason, id, isRefusal, servedModel, usage } = this
    return { id, usage, finishReason, servedModel, isRefusal, characters, toolCallIds: [...this.toolCallIds] }
  }

  /** Most chunks differ from the one before in their text only. */
  private likeTheLast(data: string): boolean {
    const like = this.templates.match(data)
    if (like === null) return false
    this.characters += like.characters
    if (like.characters > 0) this.hasSubstance = true
    this.ready.push(like.mended)
    return true
  }

  private chunk(data: string, body: JsonObject, nowMs: number): void {
    const choices = arrayOf(body["choices"]).map(choiceSaid)
    const isFirst = choices.some(({ index }) => !this.finishes.has(index))
    if (typeof body["model"] === "string") this.servedModel ??= body["model"]
    this.id ??= textOf(body["id"])
    for (const choice of choices) this.choice(choice, nowMs)
    const usage = usageIn(body)
    if (usage !== null) {
      this.usage = usage
      this.usageText = memberText(data, "usage")
      this.lastChunk = null
    }
    if (usage !== null && choices.length === 0) {
      if (isObject(body["usage"])) this.lastChunk = splice(data, mendChunk(data, body, this.memory, true))
      return
    }
    const edits = mendChunk(data, body, this.memory)
    // The first chunk of a choice may have been given a role.
    this.templates.learn(data, isFirst ? [] : textSpans(data, body), edits)
    this.ready.push(...oneCallEach(splice(data, edits), body))
    if (this.ready.length > mostHeld) this.hasSubstance = true
  }

  private choice(said: ChoiceSaid, nowMs: number): void {
    this.characters += said.characters
    for (const id of said.toolCallIds) if (this.toolCallIds.size < mostCalls) this.toolCallIds.add(id)
    if (said.hasSubstance) this.hasSubstance = true
    if (said.isRefusal) this.isRefusal = true
    if (said.finishReason === null) {
      if (!this.finishes.has(said.index)) this.finishes.set(said.index, null)
      return
    }
    this.finishes.set(said.index, said.finishReason)
    this.finishReason = said.finishReason
    this.lastFinishMs = nowMs
    // What came empty so far may yet be counted: only an end decides. Another finish than `stop` is an answer.
    if (finishReasonOf(said.finishReason, false) !== "stop") this.hasSubstance = true
  }

  private complete(): void {
    if (this.finishes.size === 0) return this.fail("bad_answer", "the stream has no events", null)
    if (isEmpty(this.hasSubstance, this.finishes.values(), this.usage)) {
      return this.fail("empty", "the answer is empty", null)
    }
    for (const [index, reason] of this.finishes) {
      if (reason !== null) continue
      const last = finishReasonOf("stop", this.memory.choices.get(index)?.hasToolCalls === true)
      this.ready.push(
        ownChunk(this.memory, `"choices":[{"index":${index},"delta":{},"finish_reason":${JSON.stringify(last)}}]`)
      )
    }
    this.current = "complete"
  }

  private fail(reason: StreamFailure["reason"], detail: string, error: ErrorSaid | null): void {
    this.current = { reason, error, detail }
  }
}

const isForeign = (name: string | null) => name !== null && name !== "message" && name !== "error"

/** Has choices, or counts, or says that it is one. */
const isChunk = (body: JsonObject): boolean =>
  Array.isArray(body["choices"]) || body["object"] === "chat.completion.chunk" || usageIn(body) !== null

const memberText = (json: string, name: string): string | null => {
  const span = membersOf(json, skipSpace(json, 0)).findLast((member) => member.name === name)
  return span === undefined ? null : json.slice(span.valueStart, span.end)
}

/** What a text in JSON does not hold, but for escapes. */
// oxlint-disable-next-line no-control-regex -- it is what is looked for
const special = /[\\\u0000-\u001f]/
// oxlint-disable-next-line no-control-regex -- JSON has none of them there
const quoted = /^(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*$/

/** The text of a chunk and where in its JSON it stands, between its quotes. */
interface Span {
  readonly start: number
  readonly end: number
}

/** JSON around texts that differ from chunk to chunk. */
interface Template {
  readonly given: ReadonlyArray<string>
  readonly mended: ReadonlyArray<string>
}

/**
 * The last chunk around its texts. A chunk with the same JSON around other texts is mended as that one was, without a
 * parser: it is the same but for the texts.
 */
class Templates {
  private template: Template | null = null

  /** The chunk mended, and how long its first text is; null if it is not like the one before. */
  match(data: string): { readonly mended: string; readonly characters: number } | null {
    const { template } = this
    if (template === null) return null
    const { given, mended } = template
    let written = ""
    let characters = 0
    let at = 0
    for (let i = 0; i < given.length; i++) {
      const part = given[i] ?? ""
      // Three times as fast as startsWith.
      if (data.slice(at, at + part.length) !== part) return null
      at += part.length
      written += mended[i] ?? ""
      if (i === given.length - 1) break
      const end = endOfText(data, at - 1) - 1
      const text = data.slice(at, end)
      const isSpecial = special.test(text)
      if (isSpecial && !quoted.test(text)) return null
      if (i === 0) characters = isSpecial ? String(parseJson(`"${text}"`)).length : text.length
      written += text
      at = end
    }
    return at === data.length ? { mended: written, characters } : null
  }

  /** `spans` in their order; none where the next chunk will not be like this one. */
  learn(data: string, spans: ReadonlyArray<Span>, edits: ReadonlyArray<Edit>): void {
    this.template = spans.length === 0 ? null : templateOf(data, spans, edits)
  }
}

const templateOf = (data: string, spans: ReadonlyArray<Span>, edits: ReadonlyArray<Edit>): Template => {
  const parts = [...spans, { start: data.length, end: data.length }].map(({ start }, i) => {
    const from = spans[i - 1]?.end ?? 0
    const inside = edits.filter((edit) => edit.start >= from && edit.end <= start)
    const given = data.slice(from, start)
    return {
      given,
      mended: splice(
        given,
        inside.map((edit) => ({ ...edit, start: edit.start - from, end: edit.end - from }))
      )
    }
  })
  return { given: parts.map(({ given }) => given), mended: parts.map(({ mended }) => mended) }
}

/**
 * What differs in a plain chunk: the text of the delta of its one choice, and OpenAI's `obfuscation` behind it. None for a
 * chunk with something that a later one would not have in the same way: a role, a call, a finish reason, counts.
 */
const textSpans = (data: string, body: JsonObject): ReadonlyArray<Span> => {
  const choices = arrayOf(body["choices"])
  const choice = choices[0]
  if (choices.length !== 1 || !isObject(choice) || !isObject(choice["delta"])) return []
  const { delta } = choice
  const name = ["content", "reasoning_content", "reasoning"].find((key) => typeof delta[key] === "string")
  const isPlain =
    !isObject(body["usage"]) && !choice["finish_reason"] && Object.keys(delta).every((key) => key === name)
  if (name === undefined || !isPlain) return []
  const members = membersOf(data, skipSpace(data, 0))
  const at = valueOf(members, "choices")
  const element = at === undefined ? undefined : elementsOf(data, at.valueStart)[0]
  const inside = element === undefined ? undefined : valueOf(membersOf(data, element), "delta")
  const text = inside === undefined ? undefined : valueOf(membersOf(data, inside.valueStart), name)
  if (text === undefined) return []
  const noise = typeof body["obfuscation"] === "string" ? valueOf(members, "obfuscation") : undefined
  const spans = [text, ...(noise !== undefined && noise.start > text.end ? [noise] : [])]
  return spans.map(({ end, valueStart }) => ({ start: valueStart + 1, end: end - 1 }))
}

const valueOf = (members: ReadonlyArray<Member>, name: string): Member | undefined =>
  members.findLast((member) => member.name === name)
