import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"

export interface Certificates {
  /** Of the authority that signed `certificate`. */
  readonly authority: string
  /** Of an authority that signed nothing. */
  readonly stranger: string
  readonly certificate: string
  readonly key: string
  readonly remove: () => void
}

/** A certificate for those names (`DNS:db`, `IP:127.0.0.1`), by an authority of its own, made by openssl. */
export const makeCertificates = (names: string): Certificates => {
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-tls-"))
  Fs.chmodSync(folder, 0o755)
  const file = (name: string) => Path.join(folder, name)
  const openssl = (words: string) => {
    const made = spawnSync("openssl", words.split(" "), { cwd: folder, encoding: "utf8" })
    if (made.status !== 0) throw new Error(`openssl ${words}: ${made.stderr}`)
  }
  for (const name of ["authority", "stranger"]) {
    const files = `-keyout ${name}.key -out ${name}.crt`
    openssl(`req -new -x509 -nodes -days 2 -newkey rsa:2048 -subj /CN=${name} ${files}`)
  }
  openssl("req -new -nodes -newkey rsa:2048 -subj /CN=db -keyout db.key -out db.csr")
  Fs.writeFileSync(file("names"), `subjectAltName=${names}\n`)
  const authority = "-CA authority.crt -CAkey authority.key -CAcreateserial"
  openssl(`x509 -req -in db.csr -days 2 ${authority} -extfile names -out db.crt`)
  Fs.chmodSync(file("db.key"), 0o600)
  // PostgreSQL does not run as root, and its key is its own.
  if (process.getuid?.() === 0) Fs.chownSync(file("db.key"), 65534, 65534)
  return {
    authority: file("authority.crt"),
    stranger: file("stranger.crt"),
    certificate: file("db.crt"),
    key: file("db.key"),
    remove: () => Fs.rmSync(folder, { recursive: true, force: true })
  }
}
