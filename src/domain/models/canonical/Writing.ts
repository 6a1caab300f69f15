import * as Either from "effect/Either"
import type { JsonObject } from "../Json.ts"
import type { NativePart, NativeTool, ProtocolName, Unfit, Written } from "./Conversation.ts"
import { isSpare } from "./More.ts"

/** What a tool or a part that only one protocol has is called: its type, or Google's one member of such a name. */
const nativeName = (value: JsonObject): string =>
  typeof value["type"] === "string" ? value["type"] : (Object.keys(value)[0] ?? "unknown")

/** A request while it is written: what no member can say is noted in one place. */
export abstract class Writing {
  readonly adjusted = new Set<string>()
  /** Null for a protocol that no client speaks, so that nothing is native to it. */
  readonly #of: ProtocolName | null
  #unfit: Unfit | null = null

  constructor(of: ProtocolName | null) {
    this.#of = of
  }

  of(written: Written): Either.Either<Written, Unfit> {
    return this.#unfit === null ? Either.right(written) : Either.left(this.#unfit)
  }

  protected cannot(param: string, detail: string, lacks: Unfit["lacks"] = null): void {
    this.#unfit ??= { param, detail, lacks }
  }

  /** A tool that the upstream runs itself, if it can: whose it is decides. */
  protected nativeTool(tool: NativeTool, i: number): ReadonlyArray<JsonObject> {
    if (tool.of === this.#of) return [tool.value]
    const name = nativeName(tool.value)
    if (isSpare(tool)) this.adjusted.add(`tools.${name}->none`)
    else {
      this.cannot(`tools.${i}`, `a tool of type ${name} is run by upstreams of another protocol only`, "native_tools")
    }
    return []
  }

  protected nativePart({ of, value }: NativePart, param: string): ReadonlyArray<JsonObject> {
    if (of === this.#of) return [value]
    this.cannot(param, `a part of type ${nativeName(value)} is known to upstreams of another protocol only`)
    return []
  }
}
