import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as PostgresEmbedded from "../../src/layers/storage/postgres/PostgresEmbedded.ts"
import { PostgresServer } from "../../src/services/storage/PostgresServer.ts"
import { settingsWith } from "./closing.ts"

/** Uses the embedded database in that folder: the one that a service has, beside it, or else one that is started for it. */
export const withEmbedded = <A>(dataDirectory: string, use: (url: string) => Promise<A>): Promise<A> =>
  Effect.runPromise(
    PostgresServer.pipe(
      Effect.flatMap(({ url }) => Effect.promise(() => use(Redacted.value(url)))),
      Effect.provide(PostgresEmbedded.layerBeside.pipe(Layer.provide(settingsWith({ dataDirectory }))))
    )
  )
