import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as DatabaseMemory from "../../../../src/layers/storage/memory/DatabaseMemory.ts"
import { databaseAt, scopedUrl } from "../../../support/closing.ts"
import { databaseContract } from "../../../support/databaseContract.ts"
import { createDatabase } from "../../../support/postgres.ts"
import { statsContract } from "../../../support/statsContract.ts"

const database = Layer.unwrapScoped(Effect.map(scopedUrl(createDatabase), (url) => databaseAt(url)))
databaseContract("PostgreSQL", database)
statsContract("PostgreSQL", database, DatabaseMemory.layer)
