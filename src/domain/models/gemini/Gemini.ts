import type { Protocol } from "../canonical/Protocol.ts"
import { readAnswer, writeAnswer } from "./Answer.ts"
import { GeminiEventReader, GeminiEventWriter } from "./Events.ts"
import { readRequest, writeRequest } from "./Request.ts"

/** Google's generateContent. */
export const gemini: Protocol = {
  name: "gemini",
  readRequest,
  writeRequest,
  readAnswer,
  writeAnswer,
  eventReader: () => new GeminiEventReader(),
  eventWriter: (about) => new GeminiEventWriter(about)
}
