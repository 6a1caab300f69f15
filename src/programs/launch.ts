#!/usr/bin/env node
import * as Fs from "node:fs"
import Module from "node:module"
import * as Path from "node:path"
import * as Vm from "node:vm"

/** The file of the program, beside this one: the build states its name, which has a hash of its content. */
declare const PROGRAM_FILE: string

const file = Path.join(__dirname, PROGRAM_FILE)

/** Beside the packages: who may write there may change the program anyway, which is not so for a common folder of `/tmp`. */
const folder = Path.join(__dirname, "..", "..", "node_modules", ".cache", "conduit")

/** By then a service has started. Later V8 forgets what it has not run for a while. */
const keepAfterMs = 10_000

/** What is compiled depends on what runs. */
const commandName = (argument = "serve") => (/^[a-z][a-z-]*$/.test(argument) ? argument : "other")

const attempt = <A>(run: () => A): A | undefined => {
  try {
    return run()
  } catch {
    return undefined
  }
}

/** What another build has left is of no use any more. Folders are those of newer versions of Node. */
const keep = (name: string, compiled: Buffer): void => {
  Fs.mkdirSync(folder, { recursive: true })
  for (const other of Fs.readdirSync(folder, { withFileTypes: true })) {
    if (other.isFile() && !other.name.startsWith(PROGRAM_FILE))
      Fs.rmSync(Path.join(folder, other.name), { force: true })
  }
  const written = Path.join(folder, `${name}.${process.pid}`)
  Fs.writeFileSync(written, compiled)
  Fs.renameSync(written, Path.join(folder, name))
}

/** As `require`, with the code that V8 compiled in an earlier run. */
const runCompiled = (): void => {
  const name = `${PROGRAM_FILE}-${process.versions.v8}-${process.arch}-${commandName(process.argv[2])}`
  const cachedData = attempt(() => Fs.readFileSync(Path.join(folder, name)))
  // The build leaves ASCII only: read as such, a character takes one byte.
  const script = new Vm.Script(Module.wrap(Fs.readFileSync(file, "latin1")), {
    filename: file,
    ...(cachedData === undefined ? {} : { cachedData }),
    importModuleDynamically: Vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER
  })
  if (cachedData === undefined || script.cachedDataRejected === true) {
    let isKept = false
    const keepOnce = () => {
      if (!isKept) attempt(() => keep(name, script.createCachedData()))
      isKept = true
    }
    setTimeout(keepOnce, keepAfterMs).unref()
    // A command of this name may not exist.
    process.once("exit", (code) => {
      if (code === 0) keepOnce()
    })
  }
  const module = { exports: {} }
  script.runInThisContext()(module.exports, Module.createRequire(file), module, file, __dirname)
}

/** Node 22.1 and later do it themselves, https://nodejs.org/api/module.html#moduleenablecompilecachecachedir. */
const enableCompileCache: unknown = Reflect.get(Module, "enableCompileCache")
if (typeof enableCompileCache === "function") Reflect.apply(enableCompileCache, Module, [folder])

if (typeof enableCompileCache === "function" || process.execArgv.includes("--enable-source-maps")) require(file)
else runCompiled()
