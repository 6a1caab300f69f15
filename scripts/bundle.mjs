// How the program is bundled: a bundle starts in a third of the time.
import { createHash } from "node:crypto"
import { mkdirSync, writeFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

export const root = join(dirname(fileURLToPath(import.meta.url)), "..")

const source = (...parts) => join(root, "src", "programs", ...parts)

/** Options of esbuild. CommonJS, because of that Node can keep what it compiled. */
const options = {
  bundle: true,
  format: "cjs",
  platform: "node",
  target: "node20",
  // Of a package that has both, the ES modules: what is not used of them is left out.
  mainFields: ["module", "main"],
  // Reads in 30 ms less at each start. Names stay, and lines stay short: Node prints the one that an error comes from.
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 160,
  sourcemap: true,
  // Places in the sources are enough for a stack: their texts would be a third of the package.
  sourcesContent: false,
  logLevel: "warning",
  define: {
    "import.meta.url": "__moduleUrl",
    // The driver asks whether it runs at Cloudflare, and where Node has no navigator yet, in 20, it loads all of fetch to know.
    navigator: JSON.stringify({ userAgent: "Node.js" })
  },
  banner: { js: 'const __moduleUrl = require("node:url").pathToFileURL(__filename).href;' },
  external: ["pg-native", "@electric-sql/pglite", "@electric-sql/pglite-socket"]
}

const replaced = {
  name: "replaced",
  setup: ({ onResolve }) => {
    onResolve({ filter: /^undici$/ }, () => ({ path: join(root, "scripts", "undici.mjs") }))
    // Swagger UI is a third of the bundle, and only `/docs` needs it.
    onResolve({ filter: /internal\/httpApiSwagger\.js$/ }, ({ kind }) =>
      kind === "entry-point" ? undefined : { path: "./swagger.js", external: true }
    )
  }
}

/** What starts the program names its file, and that has a hash of what is in it: compiled code must not be another's. */
const launcher = (outdir) => ({
  name: "launcher",
  setup: ({ esbuild, onEnd }) =>
    onEnd(async ({ errors, outputFiles }) => {
      if (errors.length > 0) return
      mkdirSync(outdir, { recursive: true })
      // What is beside the bundle is CommonJS, whatever the package is.
      writeFileSync(join(outdir, "package.json"), '{ "type": "commonjs" }\n')
      const program = outputFiles.find(({ path }) => path.endsWith("program.js"))
      const name = `program-${createHash("sha256").update(program.contents).digest("hex").slice(0, 12)}.js`
      for (const { contents, path } of outputFiles) {
        writeFileSync(join(outdir, basename(path).replace("program.js", name)), contents)
      }
      await esbuild.build({
        ...options,
        outdir,
        entryPoints: { conduit: source("launch.ts") },
        define: { PROGRAM_FILE: JSON.stringify(name) },
        banner: {}
      })
    })
})

/** The bundle may lie anywhere under the project, because it finds its externals in node_modules. */
export const bundleInto = (outdir) => ({
  ...options,
  entryPoints: {
    program: source("main.ts"),
    evaluateWorker: source("evaluate", "Worker.ts"),
    swagger: join(root, "node_modules", "@effect", "platform", "dist", "esm", "internal", "httpApiSwagger.js")
  },
  outdir,
  write: false,
  plugins: [replaced, launcher(outdir)]
})
