import * as Context from "effect/Context"
import type { Bill } from "../../domain/routing/ConversationCost.ts"
import type { ModelId } from "../../domain/basics/Ids.ts"

/** What a session has: its model, and the epoch of that model in which it was chosen. */
export interface Session {
  readonly model: ModelId
  readonly epoch: number
  /** Of its newest request, read from the provider's cache: what leaving the model would cost again. */
  readonly cachedTokens?: number
  /** Where each turn of a session is weighed by what it costs. */
  readonly turn?: SessionTurn
}

/** What the next turn of a session is weighed by. */
export interface SessionTurn {
  /** Of all that was said so far, as its model counted: what the provider may have in its cache. */
  readonly prefixTokens: number
  /** When its newest answer was there, Unix milliseconds. */
  readonly atMillis: number
  /** The model of the first turn, and the bill so far. */
  readonly first: ModelId
  readonly bill: Bill
}

/** A client's name for a session, and whose it is: the same name of another key is another session. */
export interface SessionKey {
  readonly owner: string | null
  readonly sessionId: string
}

/**
 * Which model each session has. The one that was silent longest is forgotten first; nothing here fails. Plain functions,
 * because every request passes here; each calls back once, perhaps before it returns.
 */
export interface SessionsShape {
  /**
   * One choice in a session. `choose` gets what the session has, null if nothing is known of it, and answers with what
   * it has from then on, null if that is nothing new to remember. It is called again when another replica was first.
   */
  readonly choose: <A extends { readonly session: Session | null }>(
    key: SessionKey,
    choose: (known: Session | null) => A,
    chosen: (choice: A) => void
  ) => void

  /** Whatever the session had, it has this from then on. */
  readonly move: (key: SessionKey, session: Session, moved: () => void) => void

  /** What a conversation that no client named goes on with; null if nothing is known of it. */
  readonly recall: (key: SessionKey, recalled: (session: Session | null) => void) => void

  /** What is shared of it is shared later. */
  readonly remember: (key: SessionKey, session: Session) => void
}

export class Sessions extends Context.Tag("conduit/services/Sessions")<Sessions, SessionsShape>() {}
