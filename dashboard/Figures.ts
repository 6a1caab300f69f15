import { effect, signal } from "@preact/signals"
import type { BudgetList } from "../src/services/api/BudgetSchemas.ts"
import type { DecisionList } from "../src/services/api/Responses.ts"
import type { StatsAnswer } from "../src/services/api/StatsResponse.ts"
import { ApiError, ask, key, needsKey } from "./Api.ts"
import { changes, connection, keep } from "./Live.ts"

/** What the figures are of: a window that ends now, in steps. */
export const windows = {
  "15m": { label: "15 min", step: "15s" },
  "1h": { label: "1 hour", step: "1m" },
  "24h": { label: "24 hours", step: "1h" },
  "7d": { label: "7 days", step: "6h" },
  "30d": { label: "30 days", step: "1d" }
} as const
export type Window = keyof typeof windows
export const windowNames: ReadonlyArray<Window> = ["15m", "1h", "24h", "7d", "30d"]

export const chosenWindow = signal<Window>("1h")
/** By task and model. Null until the first answer. */
export const stats = signal<StatsAnswer | null>(null)
/** By step and model. */
export const series = signal<StatsAnswer | null>(null)
/** By task and model, with what routing saved: asked for less often. */
export const savings = signal<StatsAnswer["savings"]>(null)
/** Those that the key may see. Null until the first answer. */
export const budgets = signal<BudgetList["data"] | null>(null)
export const failure = signal<string | null>(null)

/** A key that is needed is asked for, and what does not arrive is asked for again. */
const failureOf = (error: unknown): string | null =>
  error instanceof ApiError && !needsKey.value ? error.message : null

const soonMillis = 1_000
const savingsEveryMillis = 10_000
/** They may take so small a part of the time: statistics are added up one at a time. */
const savingsShare = 0.05

let isAsking = false
let isAskedAgain = false
let nextSavingsMillis = 0

/** They take longer than the rest, which does not wait for them, and is shown without them if need be. */
const refreshSavings = async (name: Window): Promise<void> => {
  const beganMillis = Date.now()
  if (beganMillis < nextSavingsMillis) return
  nextSavingsMillis = Infinity
  const answer = await ask<StatsAnswer>(`/v1/stats?window=${name}`).catch(() => null)
  const tookMillis = Date.now() - beganMillis
  nextSavingsMillis = beganMillis + Math.max(savingsEveryMillis, tookMillis / savingsShare)
  if (answer !== null && name === chosenWindow.value) savings.value = answer.body.savings
}

/** Asks for all figures of the window; what is asked meanwhile is asked once behind it. */
export const refresh = async (): Promise<void> => {
  if (isAsking) {
    isAskedAgain = true
    return
  }
  isAsking = true
  try {
    const name = chosenWindow.value
    const of = (group: string, more = "") =>
      ask<StatsAnswer>(`/v1/stats?window=${name}&interval=${windows[name].step}&group_by=${group}&savings=false${more}`)
    const [byTask, byStep, limits] = await Promise.all([
      of("task,model"),
      of("step,model"),
      ask<BudgetList>("/v1/budgets")
    ])
    budgets.value = limits.body.data
    if (name === chosenWindow.value) {
      stats.value = byTask.body
      series.value = byStep.body
      failure.value = null
    }
    void refreshSavings(name)
  } catch (error) {
    failure.value = failureOf(error)
  } finally {
    isAsking = false
    if (isAskedAgain) {
      isAskedAgain = false
      setTimeout(() => void refresh(), soonMillis)
    }
  }
}

export const choose = (name: Window): void => {
  nextSavingsMillis = 0
  chosenWindow.value = name
}

/** The judged ones tell how good the predictions were: a page more of them than the stream begins with. */
const loadedDecisions = 200

/** The shortest window that has what there is, or a day. */
const fitting = async (): Promise<Window> => {
  for (const name of ["15m", "1h"] as const) {
    const until = new Date(Date.now() - (name === "15m" ? 900_000 : 3_600_000)).toISOString()
    const { body } = await ask<DecisionList>(`/v1/decisions?limit=1&until=${until}`)
    if (body.data.length === 0) return name
  }
  return "24h"
}

const begin = async (): Promise<void> => {
  try {
    const [{ body }, name] = await Promise.all([ask<DecisionList>(`/v1/decisions?limit=${loadedDecisions}`), fitting()])
    keep(body.data)
    chosenWindow.value = name
  } catch (error) {
    failure.value = failureOf(error)
  }
  void refresh()
}

let soon: ReturnType<typeof setTimeout> | null = null
const refreshSoon = () => {
  if (document.hidden) return
  soon ??= setTimeout(() => {
    soon = null
    void refresh()
  }, soonMillis / 2)
}

const idleMillis = 15_000

export const follow = (): void => {
  effect(() => {
    if (key.value !== "" || !needsKey.value) void begin()
  })
  let window = chosenWindow.value
  effect(() => {
    if (window === chosenWindow.value) return
    window = chosenWindow.value
    void refresh()
  })
  effect(() => {
    if (changes.value > 0 || connection.value === "live") refreshSoon()
  })
  document.addEventListener("visibilitychange", refreshSoon)
  // The window moves on.
  setInterval(refreshSoon, idleMillis)
}
