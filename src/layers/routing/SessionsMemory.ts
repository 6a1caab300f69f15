import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Sessions } from "../../services/routing/Sessions.ts"
import * as Recent from "./RecentSessions.ts"

/** Known to this process alone. */
export const layer: Layer.Layer<Sessions> = Layer.sync(Sessions, () => {
  const recent = Recent.make()
  const conversations = Recent.make(Recent.conversationCapacity)
  return Sessions.of({
    choose: (key, choose) =>
      Effect.sync(() => {
        const choice = choose(recent.get(key))
        if (choice.session !== null) recent.set(key, choice.session)
        return choice
      }),
    move: (key, session) => Effect.sync(() => recent.set(key, session)),
    recall: (key) => Effect.sync(() => conversations.get(key)),
    remember: (key, session) => Effect.sync(() => conversations.set(key, session))
  })
})
