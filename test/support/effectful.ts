// What the service has as plain functions, because every request passes there, as effects: for tests and for fakes.
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import {
  type CallLimits,
  type ChatAnswer,
  type ChatBody,
  type ChatStream,
  LanguageModels,
  ProviderError
} from "../../src/services/models/LanguageModels.ts"
import type { Model } from "../../src/domain/routing/Model.ts"
import type { Interrupted, RouterError, RouterShape, StreamSink } from "../../src/services/routing/Router.ts"
import { type Session, type SessionKey, Sessions, type SessionsShape } from "../../src/services/routing/Sessions.ts"

/** Of a callback that may get an error. */
const failing = <A>(start: (done: (result: A | ProviderError) => void) => () => void) =>
  Effect.async<A, ProviderError>((resume) => {
    const stop = start((result) => resume(result instanceof ProviderError ? result : Effect.succeed(result)))
    return Effect.sync(stop)
  })

export interface EffectfulStream extends Omit<ChatStream, "next"> {
  readonly next: Effect.Effect<ReadonlyArray<string>, ProviderError>
}

const streamOf = (stream: ChatStream): EffectfulStream => ({
  status: stream.status,
  requestId: stream.requestId,
  said: () => stream.said(),
  isFinished: () => stream.isFinished(),
  usageChunk: () => stream.usageChunk(),
  next: failing<ReadonlyArray<string>>((done) => {
    stream.next(done)
    return () => {}
  })
})

export const effectfulModels = Effect.map(LanguageModels, (models) => ({
  complete: (model: Model, body: ChatBody, limits: CallLimits): Effect.Effect<ChatAnswer, ProviderError> =>
    failing((done) => models.complete(model, body, limits, done)),
  /** Released with the scope. */
  stream: (
    model: Model,
    body: ChatBody,
    limits: CallLimits
  ): Effect.Effect<EffectfulStream, ProviderError, Scope.Scope> =>
    Effect.suspend(() => {
      let release = () => {}
      const opened = failing<ChatStream>((done) => {
        release = models.stream(model, body, limits, done)
        return release
      })
      return Effect.zipRight(
        Effect.addFinalizer(() => Effect.sync(() => release())),
        Effect.map(opened, streamOf)
      )
    })
}))

export const effectfulSessions = Effect.map(Sessions, (sessions: SessionsShape) => ({
  choose: <A extends { readonly session: Session | null }>(key: SessionKey, choose: (known: Session | null) => A) =>
    Effect.async<A>((resume) => sessions.choose(key, choose, (choice) => resume(Effect.succeed(choice)))),
  move: (key: SessionKey, session: Session) =>
    Effect.async<void>((resume) => sessions.move(key, session, () => resume(Effect.void))),
  recall: (key: SessionKey) =>
    Effect.async<Session | null>((resume) => sessions.recall(key, (session) => resume(Effect.succeed(session)))),
  remember: (key: SessionKey, session: Session) => Effect.sync(() => sessions.remember(key, session))
}))
export type EffectfulSessions = Effect.Effect.Success<typeof effectfulSessions>

export const effectfulSink = (sink: StreamSink) => ({
  events: (payloads: ReadonlyArray<string>) =>
    Effect.async<void>((resume) => sink.events(payloads, () => resume(Effect.void))),
  end: Effect.sync(() => sink.end()),
  fail: (error: RouterError | Interrupted) => Effect.sync(() => sink.fail(error))
})

/** The plain face of a router that is made of effects. */
export const beginOf =
  ({ complete, stream }: Pick<RouterShape, "complete" | "stream">): RouterShape["begin"] =>
  ({ body, caller, onEnd, open, request }) => {
    const fiber = Effect.runFork(
      open === null ? complete(request, body, caller) : Effect.as(stream(request, body, caller, open), null)
    )
    fiber.addObserver(onEnd)
    return { interrupt: () => fiber.unsafeInterruptAsFork(FiberId.none) }
  }
