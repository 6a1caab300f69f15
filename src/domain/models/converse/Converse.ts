import type { Spoken } from "../canonical/Protocol.ts"
import { readAnswer } from "./Answer.ts"
import { ConverseEventReader } from "./Events.ts"
import { writeRequest } from "./Request.ts"

/** Amazon Bedrock's Converse, which upstreams speak and no client of Conduit. */
export const converse: Spoken = {
  writeRequest,
  readAnswer,
  eventReader: () => new ConverseEventReader()
}
