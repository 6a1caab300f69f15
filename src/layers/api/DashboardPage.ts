import * as Effect from "effect/Effect"
import { readFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

/** What the build makes of `dashboard/`, complete in itself. */
const name = "conduit-dashboard.html"

/** From this module up: beside the bundle, and for the modules of `dist` and `src` where the build puts the bundle. */
const places = (folder: string, levels = 4): ReadonlyArray<string> =>
  levels === 0 ? [] : [join(folder, name), join(folder, "dist", "bin", name), ...places(dirname(folder), levels - 1)]

const absent = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Conduit</title></head>
<body><h1>Conduit</h1><p>It runs. Its dashboard was not built: <code>npm run build</code> makes it. <a href="/docs">The API</a> is there.</p></body>
</html>
`

const read = (path: string) => Effect.tryPromise(() => readFile(path, "utf8"))

export const load: Effect.Effect<string> = Effect.firstSuccessOf(
  places(dirname(fileURLToPath(import.meta.url))).map(read)
).pipe(Effect.orElseSucceed(() => absent))
