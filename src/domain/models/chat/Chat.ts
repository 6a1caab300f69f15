import type { Protocol } from "../canonical/Protocol.ts"
import { readAnswer, writeAnswer } from "./Answer.ts"
import { ChatEventReader, ChatEventWriter } from "./Events.ts"
import { readRequest, writeRequest } from "./Request.ts"

/** OpenAI's Chat Completions, and everybody's who is compatible with them. */
export const chat: Protocol = {
  name: "chat",
  readRequest,
  writeRequest,
  readAnswer,
  writeAnswer,
  eventReader: () => new ChatEventReader(),
  eventWriter: (about) => new ChatEventWriter(about)
}
