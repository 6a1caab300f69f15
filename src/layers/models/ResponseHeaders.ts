export type ResponseHeaders = Readonly<Record<string, string | Array<string> | undefined>>

export const headerOf = (headers: ResponseHeaders, name: string): string | null => {
  const value = headers[name]
  return (typeof value === "string" ? value : value?.[0]) ?? null
}
