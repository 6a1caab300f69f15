import type { Part, ProtocolName } from "./canonical/Conversation.ts"
import { Collecting, type EventReader } from "./canonical/Event.ts"
import { isObject, parseJson } from "./Json.ts"
import { protocols } from "./Protocols.ts"

/** More of an answer is not kept. */
const mostChars = 64 * 1024

const textOfParts = (parts: ReadonlyArray<Part>): string =>
  parts
    .flatMap((part) => {
      switch (part.type) {
        case "text":
        case "refusal":
          return [part.text]
        case "call":
          return [`(calls ${part.name} with ${part.input})`]
        default:
          return []
      }
    })
    .join("\n")
    .slice(0, mostChars)

/** What a whole answer says, in the protocol of its client. */
export const answerText = (json: string, protocol: ProtocolName): string => {
  const body = parseJson(json)
  return isObject(body) ? textOfParts(protocols[protocol].readAnswer(body).parts) : ""
}

/** What a stream has said, read from the payloads that its client gets. */
export class StreamedText {
  readonly #reader: EventReader
  readonly #collecting = new Collecting()
  #chars = 0

  constructor(protocol: ProtocolName) {
    this.#reader = protocols[protocol].eventReader()
  }

  add(payloads: ReadonlyArray<string>): void {
    for (const payload of payloads) {
      this.#chars += payload.length
      if (this.#chars > 32 * mostChars) return
      for (const event of this.#reader.read(payload)) this.#collecting.add(event)
    }
  }

  get text(): string {
    return textOfParts(this.#collecting.answer.parts)
  }
}
