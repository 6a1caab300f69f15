/** What clients put before a name: their own word for the protocol. */
const protocols: ReadonlySet<string> = new Set(["openai", "models", "openai-compatible", "custom_openai", "litellm"])

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
  const slash = name.indexOf("/")
  const prefix = name.slice(0, Math.max(0, slash)).toLowerCase()
  const isPrefixed = slash > 0 && (protocols.has(prefix) || isProvider(name.slice(0, slash)))
  const bare = isPrefixed ? name.slice(slash + 1) : name
  return bare.toLowerCase() === "auto" && !isModel(bare) ? null : isModel(bare) ? bare : name
}
