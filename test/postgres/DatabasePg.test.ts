import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { databaseAt, scopedUrl } from "../support/closing.ts"
import { databaseContract } from "../support/databaseContract.ts"
import { createDatabase } from "../support/postgres.ts"

databaseContract("PostgreSQL", Layer.unwrapScoped(Effect.map(scopedUrl(createDatabase), (url) => databaseAt(url))))
