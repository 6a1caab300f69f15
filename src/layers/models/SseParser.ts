/**
 * Reads the `data` of server-sent events from chunks that may be cut anywhere, inside a line, a line end or a character.
 * Lines end with LF, CR or CRLF; comments and other fields are skipped; the lines of one event are joined by LF.
 *
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export interface SseParser {
  /** The events that this chunk completes, or null if one is longer than the limit: then the stream cannot be read on. */
  readonly push: (chunk: Uint8Array) => ReadonlyArray<string> | null
  /** What an event at the end would be that no blank line completed; null without one. */
  readonly end: () => string | null
}

/** `maxEventChars` bounds what is kept of an unfinished event, in UTF-16 units. */
export const makeSseParser = (maxEventChars: number): SseParser => {
  const decoder = new TextDecoder() // strips a byte order mark
  let line = ""
  let data: string | null = null
  let skipLineFeed = false

  const field = (text: string) => {
    if (!text.startsWith("data")) return
    if (text.length > 4 && text[4] !== ":") return
    const value = text.slice(text[5] === " " ? 6 : 5)
    data = data === null ? value : `${data}\n${value}`
  }

  return {
    push: (chunk) => {
      const text = decoder.decode(chunk, { stream: true })
      const events: Array<string> = []
      let start = 0
      for (let i = 0; i < text.length; i++) {
        const code = text.charCodeAt(i)
        if (code === 10 && skipLineFeed) {
          start = i + 1
          skipLineFeed = false
          continue
        }
        skipLineFeed = code === 13
        if (code !== 10 && code !== 13) continue
        const whole = line + text.slice(start, i)
        line = ""
        start = i + 1
        if (whole !== "") {
          field(whole)
        } else if (data !== null) {
          events.push(data)
          data = null
        }
      }
      line += text.slice(start)
      return line.length + (data?.length ?? 0) > maxEventChars || events.some((e) => e.length > maxEventChars)
        ? null
        : events
    },
    end: () => {
      field(line)
      line = ""
      return data
    }
  }
}
