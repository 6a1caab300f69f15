import { signal } from "@preact/signals"

const storedAs = "conduit-key"

const stored = (): string => {
  try {
    return sessionStorage.getItem(storedAs) ?? ""
  } catch {
    return ""
  }
}

/** The key of the API, for as long as the tab is open; empty where none is needed. */
export const key = signal(stored())
/** The service wants a key, or another one. */
export const needsKey = signal(false)
/** The key is valid, and lacks the scope that this page needs. */
export const mayNotRead = signal(false)

export const useKey = (text: string): void => {
  key.value = text
  needsKey.value = false
  mayNotRead.value = false
  try {
    sessionStorage.setItem(storedAs, text)
  } catch {
    // It is asked for again after a reload.
  }
}

export const headers = (): Record<string, string> => (key.value === "" ? {} : { authorization: `Bearer ${key.value}` })

/** What the service answers instead of what was asked. */
export class ApiError extends Error {
  readonly status: number
  readonly code: string
  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

export interface Answer<A> {
  readonly body: A
  readonly headers: Headers
}

/** Asks the service; an error is an `ApiError` with the service's own words. */
export const ask = async <A>(path: string, body?: unknown, more: Record<string, string> = {}): Promise<Answer<A>> => {
  const response = await fetch(path, {
    headers: { ...headers(), ...more, ...(body === undefined ? {} : { "content-type": "application/json" }) },
    ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) })
  })
  if (response.status === 401) needsKey.value = true
  const answer = await response.json()
  if (!response.ok) {
    const { code = "", message = `HTTP ${response.status}` } = answer?.error ?? {}
    throw new ApiError(response.status, code, message)
  }
  return { body: answer, headers: response.headers }
}

/** A random UUID, also on a page that is served without TLS, where browsers have no `randomUUID`. */
export const uuid = (): string => {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-")
}
