import * as Predicate from "effect/Predicate"

// The library hands over what it collected as `unknown`.

export type Fields = { [key: string]: unknown }

export const fields = (value: unknown): Fields => (Predicate.isRecord(value) ? value : {})

export const records = (value: unknown): ReadonlyArray<Fields> =>
  Array.isArray(value) ? value.filter(Predicate.isRecord) : []

/** Everything at the path of keys, each of which has an array. */
export const within = (data: unknown, path: ReadonlyArray<string>): ReadonlyArray<Fields> =>
  path.reduce<ReadonlyArray<Fields>>((found, key) => found.flatMap((one) => records(one[key])), [fields(data)])
