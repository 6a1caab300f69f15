import type { Protocol } from "../canonical/Protocol.ts"
import { readAnswer, writeAnswer } from "./Answer.ts"
import { MessagesEventReader, MessagesEventWriter } from "./Events.ts"
import { readRequest, writeRequest } from "./Request.ts"

/** Anthropic's Messages. */
export const messages: Protocol = {
  name: "messages",
  readRequest,
  writeRequest,
  readAnswer,
  writeAnswer,
  eventReader: () => new MessagesEventReader(),
  eventWriter: (about) => new MessagesEventWriter(about)
}
