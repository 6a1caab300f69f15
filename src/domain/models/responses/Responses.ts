import type { Protocol } from "../canonical/Protocol.ts"
import { readAnswer, writeAnswer } from "./Answer.ts"
import { ResponsesEventReader, ResponsesEventWriter } from "./Events.ts"
import { readRequest, writeRequest } from "./Request.ts"

/** OpenAI's Responses, without a store: every request brings its whole conversation. */
export const responses: Protocol = {
  name: "responses",
  readRequest,
  writeRequest,
  readAnswer,
  writeAnswer,
  eventReader: () => new ResponsesEventReader(),
  eventWriter: (about) => new ResponsesEventWriter(about)
}
