import * as Fs from "node:fs"
import * as Path from "node:path"
import { run } from "./external.ts"

/** A document of a manifest. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly [field: string]: any
}

const root = Path.resolve(import.meta.dirname, "../..")

/** Such a thing is defined by an operator and not by Kubernetes. */
export const isCustom = ({ apiVersion }: Manifest): boolean => apiVersion.startsWith("monitoring.coreos.com/")

/** What the schema of Kubernetes has against a document; null if nothing. It says nothing of fields that it does not know. */
const invalid = async (document: Manifest): Promise<string | null> => {
  const { apiVersion, kind } = document
  const module = `kubernetes-models/${apiVersion}/${kind}`
  const { [kind]: Model } = await import(/* @vite-ignore */ module)
  try {
    new Model(document).validate()
    return null
  } catch (error) {
    return `${kind} ${document["metadata"].name}: ${String(error)}`
  }
}

/** The compiler's opinion of each document as a value of its type: it knows every field, and so each that does not exist. */
const misspelled = (documents: ReadonlyArray<Manifest>): ReadonlyArray<string> => {
  const cache = Path.join(root, "node_modules/.cache")
  Fs.mkdirSync(cache, { recursive: true })
  const folder = Fs.mkdtempSync(Path.join(cache, "conduit-manifests-"))
  try {
    const text = documents.map(
      (document, i) =>
        `import type { I${document.kind} as T${i} } from "kubernetes-models/${document.apiVersion}/${document.kind}"\n` +
        `export const ${document.kind}${i}: T${i} = ${JSON.stringify(document, null, 1)}\n`
    )
    Fs.writeFileSync(Path.join(folder, "manifests.mts"), text.join("\n"))
    const compilerOptions = { strict: true, noEmit: true, skipLibCheck: true, module: "NodeNext", types: [] }
    Fs.writeFileSync(
      Path.join(folder, "tsconfig.json"),
      JSON.stringify({ compilerOptions, include: ["manifests.mts"] })
    )
    const { code, stderr, stdout } = run(Path.join(root, "node_modules/.bin/tsc"), ["-p", folder, "--pretty", "false"])
    return code === 0 ? [] : `${stdout}${stderr}`.trim().split("\n")
  } finally {
    Fs.rmSync(folder, { recursive: true })
  }
}

/** Everything that Kubernetes would have against these documents. */
export const problemsOf = async (documents: ReadonlyArray<Manifest>): Promise<ReadonlyArray<string>> => {
  const known = documents.filter((document) => !isCustom(document))
  const found = await Promise.all(known.map(invalid))
  return [...found.filter((problem) => problem !== null), ...misspelled(known)]
}
