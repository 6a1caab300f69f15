/** One server-sent event. */
export interface SseEvent {
  /** Null without an `event` field. */
  readonly name: string | null
  readonly data: string
}

/** As most write it. */
const dataField = "data: "

/**
 * Reads server-sent events from chunks that may be cut anywhere, inside a line, a line end or a character. Lines end with
 * LF, CR or CRLF; comments and other fields are skipped; the data lines of one event are joined by LF, wherever among them
 * its name stands. Whole, because a chunk may end in any state.
 *
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export class SseParser {
  private readonly maxEventChars: number
  private readonly decoder = new TextDecoder() // strips a byte order mark
  /** The decoder may hold a byte order mark, or a character of which the rest is to come. */
  private decoderHolds = true
  /** The line that has no end yet, in parts: joined once, however many they are. */
  private line: Array<string> = []
  private lineChars = 0
  private data: string | null = null
  private name: string | null = null
  private skipsLineFeed = false

  /** `maxEventChars` bounds what is kept of an unfinished event, in UTF-16 units. */
  constructor(maxEventChars: number) {
    this.maxEventChars = maxEventChars
  }

  /** The events that this chunk completes, or null if one is longer than the limit: then the stream cannot be read on. */
  push(chunk: Uint8Array): ReadonlyArray<SseEvent> | null {
    const text = this.textOf(chunk)
    const events: Array<SseEvent> = []
    let start = this.skipsLineFeed && text.startsWith("\n") ? 1 : 0
    if (text !== "") this.skipsLineFeed = false
    const hasReturns = text.includes("\r")
    for (;;) {
      const whole = hasReturns ? -1 : this.wholeEvent(text, start)
      if (whole !== -1) {
        const data = text.slice(start + dataField.length, whole)
        if (data.length > this.maxEventChars) return null
        events.push({ name: null, data })
        start = whole + 2
        continue
      }
      const end = hasReturns ? endOfLine(text, start) : text.indexOf("\n", start)
      if (end === -1) break
      const event = this.lineEnded(text.slice(start, end))
      if (event !== null && event.data.length > this.maxEventChars) return null
      if (event !== null) events.push(event)
      start = end + 1
      if (text.charCodeAt(end) !== 13) continue
      if (start === text.length) this.skipsLineFeed = true
      else if (text.charCodeAt(start) === 10) start++
    }
    if (start < text.length) {
      this.line.push(start === 0 ? text : text.slice(start))
      this.lineChars += text.length - start
    }
    return this.lineChars + (this.data?.length ?? 0) > this.maxEventChars ? null : events
  }

  /** A chunk that ends in a character of one byte leaves nothing to the next one, and needs no decoder. */
  private textOf(chunk: Uint8Array): string {
    const holds = this.decoderHolds
    this.decoderHolds = chunk.length === 0 ? holds : (chunk[chunk.length - 1] ?? 0) >= 0x80
    return holds || this.decoderHolds || !(chunk instanceof Buffer)
      ? this.decoder.decode(chunk, { stream: true })
      : chunk.toString("utf8")
  }

  /** Where the line ends that begins at `start`, if it is the data of an event that ends with it; -1 of any other. */
  private wholeEvent(text: string, start: number): number {
    if (this.data !== null || this.name !== null || this.line.length > 0) return -1
    if (!text.startsWith(dataField, start)) return -1
    const end = text.indexOf("\n", start)
    return end !== -1 && text.charCodeAt(end + 1) === 10 ? end : -1
  }

  /** What an event at the end would be that no blank line completed; null without one. */
  end(): SseEvent | null {
    if (this.lineChars > 0) this.lineEnded("")
    const { data, name } = this
    this.data = this.name = null
    return data === null ? null : { name, data }
  }

  /** The event that a blank line completes. */
  private lineEnded(tail: string): SseEvent | null {
    let line = tail
    if (this.line.length > 0) {
      line = this.line.join("") + tail
      this.line = []
      this.lineChars = 0
    }
    if (line !== "") {
      this.field(line)
      return null
    }
    const { data, name } = this
    this.data = this.name = null
    return data === null ? null : { name, data }
  }

  private field(line: string): void {
    const colon = line.indexOf(":")
    const name = colon === -1 ? line : line.slice(0, colon)
    if (name !== "data" && name !== "event") return
    const value = colon === -1 ? "" : line.slice(line.charCodeAt(colon + 1) === 32 ? colon + 2 : colon + 1)
    if (name === "event") this.name = value === "" ? null : value
    else this.data = this.data === null ? value : `${this.data}\n${value}`
  }
}

const endOfLine = (text: string, start: number): number => {
  for (let i = start; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 10 || code === 13) return i
  }
  return -1
}
