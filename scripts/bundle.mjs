// How the program is bundled: a bundle starts in a third of the time.
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

export const root = join(dirname(fileURLToPath(import.meta.url)), "..")

/** Options of esbuild; the bundle may lie anywhere under the project, because it finds its externals in node_modules. */
export const bundleInto = (outdir) => ({
  entryPoints: {
    conduit: join(root, "src", "programs", "main.ts"),
    evaluateWorker: join(root, "src", "programs", "evaluate", "Worker.ts")
  },
  outdir,
  bundle: true,
  splitting: true,
  format: "esm",
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
  // The driver asks whether it runs at Cloudflare, and where Node has no navigator yet, in 20, it loads all of fetch to know.
  define: { navigator: JSON.stringify({ userAgent: "Node.js" }) },
  chunkNames: "[name]-[hash]",
  external: ["pg-native", "@electric-sql/pglite", "@electric-sql/pglite-socket"],
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);'
  }
})
