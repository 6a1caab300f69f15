import type { ThinkingConfig, ThinkingLevel } from "@google/genai"
import type { Reasoning } from "../canonical/Conversation.ts"
import { numberOf, stringOf } from "../canonical/Reading.ts"
import { isObject } from "../Json.ts"
import { member } from "./Members.ts"

// How Google's models are asked to think. https://ai.google.dev/gemini-api/docs/thinking

/** What a request says of it; thoughts that are only to be shown are as many as the model finds right. */
export const reasoningOf = (config: unknown): Reasoning | null => {
  if (!isObject(config)) return null
  const budget = numberOf(member(config, "thinkingBudget"))
  const level = stringOf(member(config, "thinkingLevel"))?.toLowerCase() ?? null
  if (budget === 0) return { mode: "off", effort: null, budgetTokens: null }
  if (budget !== null && budget > 0) return { mode: "on", effort: null, budgetTokens: budget }
  if (level !== null && level !== "thinking_level_unspecified") {
    return { mode: "on", effort: level, budgetTokens: null }
  }
  return { mode: "adaptive", effort: null, budgetTokens: null }
}

export const includesThoughts = (config: unknown): boolean =>
  isObject(config) && member(config, "includeThoughts") === true

/** As Google's own compatible endpoint has them: https://ai.google.dev/gemini-api/docs/openai#thinking */
const budgets: Readonly<Record<string, number>> = {
  minimal: 1024,
  low: 1024,
  medium: 8192,
  high: 24_576,
  xhigh: 32_768,
  max: 32_768
}

const budgetOfModel = (upstream: string): { readonly least: number; readonly most: number } => {
  if (upstream.includes("pro")) return { least: 128, most: 32_768 }
  return { least: upstream.includes("lite") ? 512 : 1, most: 24_576 }
}

const levels: Readonly<Record<string, `${ThinkingLevel}`>> = {
  minimal: "MINIMAL",
  low: "LOW",
  medium: "MEDIUM",
  high: "HIGH",
  xhigh: "HIGH",
  max: "HIGH"
}

const levelOf = (upstream: string, effort: string): `${ThinkingLevel}` => {
  const level = levels[effort] ?? "MEDIUM"
  if (!upstream.includes("pro")) return level
  if (level === "MINIMAL") return "LOW"
  // Only the first of the third generation has no medium.
  return level === "MEDIUM" && /gemini-3-pro/.test(upstream) ? "HIGH" : level
}

type Config = Omit<ThinkingConfig, "thinkingLevel"> & { readonly thinkingLevel?: `${ThinkingLevel}` }

/** What a model is told, and what it is told differently; null for one that does not think. */
export const thinkingConfig = (
  { budgetTokens, effort, mode }: Reasoning,
  upstream: string
): { readonly config: Config; readonly adjusted: string | null } | null => {
  if (/gemini-(?:1|2\.0)(?:\D|$)/.test(upstream)) return null
  if (/gemini-2\.5/.test(upstream)) {
    const { least, most } = budgetOfModel(upstream)
    if (mode === "off") {
      // The large one thinks always.
      return upstream.includes("pro")
        ? { config: { thinkingBudget: least }, adjusted: `reasoning_effort->${least}` }
        : { config: { thinkingBudget: 0 }, adjusted: null }
    }
    const wanted = budgetTokens ?? (effort === null ? null : (budgets[effort] ?? null))
    const thinkingBudget = wanted === null ? -1 : Math.min(most, Math.max(least, wanted))
    return { config: { includeThoughts: true, thinkingBudget }, adjusted: null }
  }
  if (mode === "off") {
    const thinkingLevel = levelOf(upstream, "minimal")
    return { config: { thinkingLevel }, adjusted: `reasoning_effort->${thinkingLevel.toLowerCase()}` }
  }
  const asked = effort ?? (budgetTokens === null ? null : effortOf(budgetTokens))
  return {
    config: { includeThoughts: true, ...(asked === null ? {} : { thinkingLevel: levelOf(upstream, asked) }) },
    adjusted: null
  }
}

const effortOf = (budgetTokens: number): string =>
  budgetTokens < 4096 ? "low" : budgetTokens < 16_384 ? "medium" : "high"
