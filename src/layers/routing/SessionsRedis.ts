import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import { createHash } from "node:crypto"
import { ModelId } from "../../domain/basics/Ids.ts"
import { LearningLog } from "../../services/learning/LearningLog.ts"
import { Redis } from "../../services/storage/Redis.ts"
import { type Session, type SessionKey, Sessions, type SessionTurn } from "../../services/routing/Sessions.ts"
import * as Recent from "./RecentSessions.ts"

/** A session that was silent so long is forgotten by Redis; the replicas that have seen it may still know. */
const ttl = Duration.days(1)

/** Known to all replicas of a router, through Redis. While that is away each one goes by what it has seen itself. */
export const layer: Layer.Layer<Sessions, never, Redis | LearningLog> = Layer.effect(
  Sessions,
  Effect.gen(function* () {
    const redis = yield* Redis
    const { router } = yield* LearningLog
    const recent = Recent.make()
    const conversations = Recent.make(Recent.conversationCapacity)

    /** Neither a client's text nor a key can be read from it. */
    const nameOf = (key: SessionKey) =>
      `conduit:${router.id}:session:${createHash("sha256").update(Recent.nameOf(key)).digest("base64url")}`

    const choice = <A extends { readonly session: Session | null }>(
      key: SessionKey,
      choose: (known: Session | null) => A
    ): Effect.Effect<A> => {
      const name = nameOf(key)
      const remembered = (choice: A) => {
        if (choice.session !== null) recent.set(key, choice.session)
        return choice
      }
      const agreed = (stored: string | null) => {
        const shared = stored === null ? null : decode(stored)
        const choice = remembered(choose(shared ?? recent.get(key)))
        const next = choice.session
        if (next === null || isSame(next, shared)) return Effect.succeed(choice)
        if (stored !== null) return Effect.as(Effect.ignore(redis.set(name, encode(next), ttl)), choice)
        // The replica that is first decides for all; what it chose may not suit this request.
        return redis.claim(name, encode(next), ttl).pipe(
          Effect.map(decode),
          Effect.map((first) => (first === null || isSame(first, next) ? choice : remembered(choose(first)))),
          Effect.catchAll(() => Effect.succeed(choice))
        )
      }
      return Effect.matchEffect(redis.get(name, ttl), {
        onFailure: () => Effect.sync(() => remembered(choose(recent.get(key)))),
        onSuccess: agreed
      })
    }

    const run = Runtime.runFork(yield* Effect.runtime<never>())
    const stored = (key: SessionKey, session: Session) =>
      Effect.ignore(Effect.suspend(() => redis.set(nameOf(key), encode(session), ttl)))

    return Sessions.of({
      choose: (key, choose, chosen) => void run(Effect.map(choice(key, choose), chosen)),

      move: (key, session, moved) => {
        recent.set(key, session)
        run(Effect.map(stored(key, session), moved))
      },

      recall: (key, recalled) => {
        const known = redis.get(nameOf(key), ttl).pipe(
          Effect.map((stored) => (stored === null ? null : decode(stored)) ?? conversations.get(key)),
          Effect.catchAll(() => Effect.succeed(conversations.get(key)))
        )
        run(Effect.map(known, recalled))
      },

      remember: (key, session) => {
        conversations.set(key, session)
        run(stored(key, session))
      }
    })
  })
)

const encode = ({ cachedTokens = 0, epoch, model, turn }: Session) => {
  if (turn !== undefined) {
    const { atMillis, bill, first, prefixTokens } = turn
    return `${epoch} ${model} ${cachedTokens} ${prefixTokens} ${atMillis} ${first} ${bill.paidUsd} ${bill.stayUsd}`
  }
  return cachedTokens === 0 ? `${epoch} ${model}` : `${epoch} ${model} ${cachedTokens}`
}

const Turn = Schema.Tuple(
  Schema.NumberFromString.pipe(Schema.nonNegative()),
  Schema.NumberFromString.pipe(Schema.nonNegative()),
  Schema.String,
  Schema.NumberFromString.pipe(Schema.nonNegative()),
  Schema.NumberFromString.pipe(Schema.nonNegative())
)

const turnOf = (text: string): SessionTurn | undefined =>
  Option.getOrUndefined(
    Option.flatMap(Schema.decodeUnknownOption(Turn)(text.split(" ")), ([prefixTokens, atMillis, first, paid, stay]) =>
      Option.map(ModelId.option(first), (first) => ({
        prefixTokens,
        atMillis,
        first,
        bill: { paidUsd: paid, stayUsd: stay }
      }))
    )
  )

/** Null for what no version of Conduit wrote. */
const decode = (text: string): Session | null => {
  const [, epoch, model, cached, rest] = /^(\d{1,15}) (\S+)(?: (\d{1,15}))?(?: (.+))?$/.exec(text) ?? []
  const turn = rest === undefined ? undefined : turnOf(rest)
  if (rest !== undefined && turn === undefined) return null
  return Option.match(ModelId.option(model ?? ""), {
    onNone: () => null,
    onSome: (model) => ({
      model,
      epoch: Number(epoch),
      ...(cached === undefined ? {} : { cachedTokens: Number(cached) }),
      ...(turn === undefined ? {} : { turn })
    })
  })
}

const isSame = (one: Session, other: Session | null) => one.model === other?.model && one.epoch === other.epoch
