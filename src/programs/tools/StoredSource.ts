import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as StoredAnswersDatabase from "../../layers/api/StoredAnswersDatabase.ts"
import { costReferenceUsd } from "../../domain/routing/Cost.ts"
import { StoredAnswers } from "../../services/api/StoredAnswers.ts"
import { Database } from "../../services/storage/Database.ts"
import { withRouter } from "./OpenRouter.ts"
import type { Source } from "./Service.ts"

/** Uses the database of the environment instead of a service. */
export const fromDatabase = <A, E>(use: (source: Source) => Effect.Effect<A, E>) =>
  withRouter(({ database, router, tools }) =>
    Effect.gen(function* () {
      const costUsd = (yield* tools.costReference(router.id)) ?? costReferenceUsd([])
      const answers = StoredAnswersDatabase.layerOf(router.id, costUsd)
      return yield* Effect.flatMap(StoredAnswers, ({ get }) =>
        use({ name: `the database of router ${router.id}`, get })
      ).pipe(Effect.provide(Layer.provide(answers, Layer.succeed(Database, database))))
    })
  )
