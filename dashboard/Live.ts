import { signal } from "@preact/signals"
import type { LiveEvents, ServiceState } from "../src/services/api/LiveEvents.ts"
import type { DecisionEntry, ModelEntry } from "../src/services/api/Responses.ts"
import { allows, type Scope } from "../src/domain/access/ApiKey.ts"
import { headers, key, needsKey, mayNotRead } from "./Api.ts"

/** Newest first. */
const mostKept = 500

export const connection = signal<"connecting" | "live" | "lost">("connecting")
export const service = signal<ServiceState | null>(null)
/** Whether the key may do that, as far as is known; where nobody needs a key everybody may do all that the page offers. */
export const may = (scope: Scope): boolean => {
  const scopes = service.value?.scopes ?? null
  return scopes === null || allows({ scopes }, scope)
}
/** Those that have a quality of their own: `auto` and aliases are left out. */
export const models = signal<ReadonlyArray<ModelEntry>>([])
/** Null until the first answer. */
export const decisions = signal<ReadonlyArray<DecisionEntry> | null>(null)
export const trouble = signal<string | null>(null)
/** Grows with whatever may change the figures. */
export const changes = signal(0)

export const keep = (news: ReadonlyArray<DecisionEntry>): void => {
  const byId = new Map((decisions.value ?? []).map((one) => [one.id, one]))
  for (const one of news) byId.set(one.id, one)
  // The ids are in the order of time.
  decisions.value = Array.from(byId.values())
    .sort((a, b) => (a.id < b.id ? 1 : -1))
    .slice(0, mostKept)
}

const handlers: { readonly [Name in keyof LiveEvents]: (data: LiveEvents[Name]) => void } = {
  service: (data) => (service.value = data),
  models: ({ data }) => (models.value = data.filter((one) => one.id !== "auto" && one.conduit.alias_for === null)),
  decisions: (data) => {
    keep(data)
    if (data.length > 0) changes.value++
  },
  trouble: ({ message }) => (trouble.value = message)
}

const isEvent = (name: string): name is keyof LiveEvents => Object.hasOwn(handlers, name)

const take = (event: string): void => {
  let name = ""
  let data = ""
  for (const line of event.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice(7)
    else if (line.startsWith("data: ")) data += line.slice(6)
  }
  if (isEvent(name)) handlers[name](JSON.parse(data))
}

/** Reads the events until the stream ends. */
const read = async (): Promise<void> => {
  const response = await fetch("/v1/events", { headers: headers(), cache: "no-store" })
  if (response.status === 401 || response.status === 403) {
    mayNotRead.value = response.status === 403
    needsKey.value = true
    return
  }
  if (!response.ok || response.body === null) return
  connection.value = "live"
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ""
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const events = (rest + value).split("\n\n")
    rest = events.pop() ?? ""
    for (const event of events) take(event)
  }
}

const wait = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))
/** Until there is a key, or another one than was refused. */
const keyGiven = (refused: string) =>
  new Promise<void>((resolve) => {
    const stop = key.subscribe((now) => {
      if (now === refused) return
      resolve()
      setTimeout(() => stop())
    })
  })

const firstWaitMillis = 500
const longestWaitMillis = 5_000

/** Listens for ever: after a restart it goes on by itself. */
export const listen = async (): Promise<void> => {
  for (let waitMillis = firstWaitMillis; ; waitMillis = Math.min(longestWaitMillis, 2 * waitMillis)) {
    const used = key.value
    // Whatever ends the stream, it is asked for again.
    await read().catch(() => undefined)
    if (connection.value === "live") waitMillis = firstWaitMillis
    connection.value = "lost"
    if (needsKey.value) await keyGiven(used)
    else await wait(waitMillis)
  }
}
