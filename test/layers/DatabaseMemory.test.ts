import * as DatabaseMemory from "../../src/layers/DatabaseMemory.ts"
import { databaseContract } from "../support/databaseContract.ts"

databaseContract("in memory", DatabaseMemory.layer)
