import Module from "node:module"
import { fileURLToPath } from "node:url"

/** Beside the packages: who may write there may change the program anyway, which is not so for a common folder of `/tmp`. */
const folder = fileURLToPath(new URL("../../node_modules/.cache/conduit", import.meta.url))

/**
 * What is loaded from now on need not be compiled at the next start; Node writes it when the process ends. Node 22.1 and
 * later can do it; where the folder cannot be written nothing happens. `NODE_COMPILE_CACHE` names another one.
 *
 * https://nodejs.org/api/module.html#moduleenablecompilecachecachedir
 */
export const keepCompiled = (): void => {
  const enable: unknown = Reflect.get(Module, "enableCompileCache")
  if (typeof enable === "function") Reflect.apply(enable, Module, [folder])
}
