/** The address of one operation under a provider's address, whose query stays: `?api-version=` is part of every call. */
export const operationUrl = (baseUrl: string, operation: string): URL => {
  const url = new URL(baseUrl)
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/${operation}`
  return url
}
