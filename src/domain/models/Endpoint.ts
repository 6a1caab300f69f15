/**
 * The address of one operation under a provider's address, whose query stays: `?api-version=` is part of every call. The
 * operation may have one too.
 */
export const operationUrl = (baseUrl: string, operation: string): URL => {
  const url = new URL(baseUrl)
  const [path = "", query] = operation.split("?")
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/${path}`
  for (const [name, value] of new URLSearchParams(query)) url.searchParams.set(name, value)
  return url
}
