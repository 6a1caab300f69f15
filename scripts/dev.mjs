// npm run dev: builds at every change under src, and starts the service again, with the arguments that it was given
// (`npm run dev -- mock-llm`). The old one is stopped by SIGTERM and ends in its own time.
import { spawn } from "node:child_process"
import { rmSync } from "node:fs"
import { join } from "node:path"
import { context } from "esbuild"
import { bundleInto, root } from "./bundle.mjs"

const outdir = join(root, "node_modules", ".cache", "conduit-dev")
const args = process.argv.length > 2 ? process.argv.slice(2) : ["serve"]

/** The service that runs, and whether another one is to follow it. */
const service = { child: undefined, isBuilt: false, isStopping: false }

const start = () => {
  service.isBuilt = false
  const child = spawn(process.execPath, ["--enable-source-maps", join(outdir, "conduit.js"), ...args], {
    stdio: "inherit"
  })
  service.child = child
  child.once("exit", () => {
    service.child = undefined
    if (service.isStopping) process.exit(0)
    if (service.isBuilt) start()
    else process.stderr.write("dev: the service has ended; it starts again at the next change\n")
  })
}

const built = ({ errors }) => {
  if (errors.length > 0) return
  service.isBuilt = true
  if (service.child === undefined) start()
  else service.child.kill("SIGTERM")
}

rmSync(outdir, { recursive: true, force: true })
const bundle = bundleInto(outdir)
const watched = await context({
  ...bundle,
  plugins: [...bundle.plugins, { name: "restart", setup: (build) => build.onEnd(built) }]
})
await watched.watch()

const stop = async (signal) => {
  service.isStopping = true
  await watched.dispose()
  if (service.child === undefined) process.exit(0)
  // Ctrl-C reaches the child as well.
  if (signal === "SIGTERM") service.child.kill(signal)
}
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => void stop(signal))
