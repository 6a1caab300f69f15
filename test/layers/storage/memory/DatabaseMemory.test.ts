import * as DatabaseMemory from "../../../../src/layers/storage/memory/DatabaseMemory.ts"
import { databaseContract } from "../../../support/databaseContract.ts"
import { statsContract } from "../../../support/statsContract.ts"

databaseContract("in memory", DatabaseMemory.layer)
statsContract("in memory", DatabaseMemory.layer)
