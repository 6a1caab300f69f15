import * as Fs from "node:fs"
import * as Path from "node:path"
import { postmasterOf } from "../../src/layers/storage/postgres/embedded/PidFile.ts"

/** The servers that run in a data folder of the embedded database. */
export const serversIn = (dataDirectory: string): ReadonlyArray<number> =>
  (Fs.existsSync(dataDirectory) ? Fs.readdirSync(dataDirectory) : [])
    .filter((name) => name.startsWith("postgresql-"))
    .flatMap((name) => postmasterOf(Path.join(dataDirectory, name))?.pid ?? [])

/** Ends what a killed service leaves running. */
export const endServers = async (dataDirectory: string): Promise<void> => {
  for (const pid of serversIn(dataDirectory)) process.kill(pid, "SIGQUIT")
  while (serversIn(dataDirectory).length > 0) await new Promise((resolve) => setTimeout(resolve, 10))
}
