import type { ProtocolName } from "./canonical/Conversation.ts"
import type { Protocol } from "./canonical/Protocol.ts"
import { chat } from "./chat/Chat.ts"
import { gemini } from "./gemini/Gemini.ts"
import { messages } from "./messages/Messages.ts"
import { responses } from "./responses/Responses.ts"

/** Every protocol as what translates needs it. */
export const protocols: Readonly<Record<ProtocolName, Protocol>> = { chat, messages, responses, gemini }
