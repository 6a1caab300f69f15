/** What clients put before a name: their own word for the protocol. */
const protocols: ReadonlySet<string> = new Set(["openai", "models", "openai-compatible", "custom_openai", "litellm"])

const lastPart = (name: string) => name.slice(name.lastIndexOf("/") + 1).toLowerCase()

/** What vendors hang onto a name without making it another model: a date, a number of a version, `latest`. */
const sameModel = /^[-@:_](?:\d{4}-?\d{2}-?\d{2}|\d{2,4}|latest|stable|v\d+(?:\.\d+)*)$/

/** Whether an answer names another model than the one that was asked, as `gpt-4o` for `gpt-3.5-turbo`. */
export const isOtherModel = ({ id, upstream }: { readonly id: string; readonly upstream: string }, served: string) => {
  if (served === upstream) return false
  const name = lastPart(served)
  const isSame = (asked: string) =>
    name === asked ||
    (name.startsWith(asked) && sameModel.test(name.slice(asked.length))) ||
    (asked.startsWith(name) && sameModel.test(asked.slice(name.length)))
  return name !== "" && !isSame(lastPart(upstream)) && !isSame(lastPart(id))
}

/** The name without one of a protocol or a provider before it. */
export const bareName = (name: string, isProvider: (name: string) => boolean): string => {
  const slash = name.indexOf("/")
  const prefix = name.slice(0, Math.max(0, slash)).toLowerCase()
  return slash > 0 && (protocols.has(prefix) || isProvider(name.slice(0, slash))) ? name.slice(slash + 1) : name
}

/**
 * The model that a client means: null for Conduit's choice. A name that the catalogue has is meant as it is; else a prefix
 * that names a protocol or a provider is taken off (`openai/auto`, `local/small`), and `auto` is `AUTO` too.
 */
export const meantBy = (
  name: string,
  isModel: (name: string) => boolean,
  isProvider: (name: string) => boolean
): string | null => {
  if (isModel(name)) return name
  const bare = bareName(name, isProvider)
  return bare.toLowerCase() === "auto" && !isModel(bare) ? null : isModel(bare) ? bare : name
}
