import * as Layer from "effect/Layer"
import { Sessions } from "../../services/routing/Sessions.ts"
import * as Recent from "./RecentSessions.ts"

/** Known to this process alone. */
export const layer: Layer.Layer<Sessions> = Layer.sync(Sessions, () => {
  const recent = Recent.make()
  const conversations = Recent.make(Recent.conversationCapacity)
  return Sessions.of({
    choose: (key, choose, chosen) => {
      const choice = choose(recent.get(key))
      if (choice.session !== null) recent.set(key, choice.session)
      chosen(choice)
    },
    move: (key, session, moved) => {
      recent.set(key, session)
      moved()
    },
    recall: (key, recalled) => recalled(conversations.get(key)),
    remember: (key, session) => conversations.set(key, session)
  })
})
