import * as Context from "effect/Context"

/** Fresh identifiers; seedable in tests. */
export interface IdsShape {
  /** A UUIDv7 of that time. */
  readonly uuidV7: (millis: number) => string
  /** As many random bytes, 32 at most, in hexadecimal. */
  readonly randomHex: (bytes: number) => string
}

export class Ids extends Context.Tag("conduit/services/Ids")<Ids, IdsShape>() {}
