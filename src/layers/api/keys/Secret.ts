import { createHash, randomBytes } from "node:crypto"

/** 256 bits of chance; the beginning lets scanners of repositories know what it is. */
export const newSecret = (): string => `ck_${randomBytes(32).toString("base64url")}`

/** SHA-256 in hex. A secret of 256 bits needs no slow hash: there is nothing to guess. */
export const hashOf = (secret: string): string => createHash("sha256").update(secret, "utf8").digest("hex")
