export type ResponseHeaders = Readonly<Record<string, string | Array<string> | undefined>>

export const headerOf = (headers: ResponseHeaders, name: string): string | null => {
  const value = headers[name]
  return (typeof value === "string" ? value : value?.[0]) ?? null
}

/** Names and values in turn, as they came. */
export type RawHeaders = ReadonlyArray<Buffer>

/** The first field of that name, which is given in lower case. */
export const rawHeaderOf = (headers: RawHeaders, name: string): string | null => {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const field = headers[i]
    if (field?.length === name.length && field.toString("latin1").toLowerCase() === name) {
      return headers[i + 1]?.toString("latin1") ?? null
    }
  }
  return null
}

/** All of them by their names in lower case; of several of one name the first. */
export const parsedHeaders = (headers: RawHeaders): ResponseHeaders => {
  const parsed: Record<string, string> = Object.create(null)
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    parsed[headers[i]?.toString("latin1").toLowerCase() ?? ""] = headers[i + 1]?.toString("latin1") ?? ""
  }
  return parsed
}
