import { createHash, randomFillSync } from "node:crypto"
import * as Layer from "effect/Layer"
import { uuidV7From } from "../../domain/basics/Ids.ts"
import { Ids } from "../../services/running/Ids.ts"

/** Random bytes of a UUIDv7. */
const uuidBytes = 10

/** Ids of random bytes, of which a pool is filled at a time: asking the system for ten bytes costs as much as for 4 KiB. */
const idsOf = (pool: Buffer, refill: (pool: Buffer) => void) => {
  let used = pool.length
  /** Where so many fresh bytes begin. */
  const take = (count: number) => {
    if (used + count > pool.length) {
      refill(pool)
      used = 0
    }
    used += count
    return used - count
  }
  return Ids.of({
    uuidV7: (millis) => {
      const start = take(uuidBytes)
      return uuidV7From(millis, pool, start)
    },
    randomHex: (bytes) => {
      const start = take(bytes)
      return pool.toString("hex", start, start + bytes)
    }
  })
}

export const layer: Layer.Layer<Ids> = Layer.sync(Ids, () => idsOf(Buffer.alloc(4096), randomFillSync))

/** The same ids at every run: for tests and replays. */
export const layerWith = (options: { readonly seed: string }): Layer.Layer<Ids> =>
  Layer.sync(Ids, () => {
    let block = 0
    return idsOf(Buffer.alloc(32), (pool) => {
      pool.set(createHash("sha256").update(`${options.seed}:${block++}`).digest())
    })
  })
