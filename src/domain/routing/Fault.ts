import { dialectFields } from "./Dialect.ts"
import type { Capability } from "./Capability.ts"
import type { ErrorSaid } from "../models/ErrorSaid.ts"

/**
 * Whose fault a failed call is, in one table. Circuits, learning, the choice of another model and what the client is
 * told follow from the row of the reason; nothing else decides by a status or a code.
 */
interface Fault {
  /**
   * What the model's circuit hears: a `failure`; a `doubt`, which is a failure only when it meets several callers (a
   * model that one of them may not use); an `answer`, because a model that refuses is there.
   */
  readonly circuit: "failure" | "doubt" | "answer"
  /** The bandit learns a failed run of it. A refusal of one request says nothing about the next one. */
  readonly isLearned: boolean
  /**
   * Whether another model is tried where there is a choice: `counted` among the few that a request may fail on, `free`
   * where the model cannot do what another one can, `none` where the refusal is an answer.
   */
  readonly next: "counted" | "free" | "none"
  /** Who has to change something, which decides the status that a client sees. */
  readonly side: "request" | "account" | "limit" | "operator" | "upstream" | "time"
  /** False where sending the same again cannot help. */
  readonly mayPass: boolean
}

const request = { circuit: "answer", isLearned: false, side: "request", mayPass: false } as const
const down = { circuit: "failure", isLearned: true, next: "counted", side: "upstream", mayPass: true } as const

export const faults = {
  /** Wrong in itself, as far as the model says: 400, 413, 415, 422. */
  rejected: { ...request, next: "counted" },
  /** The model lacks a capability or does not know a parameter of the request. */
  unsupported: { ...request, next: "free" },
  /** Longer than the model's window. */
  context_length: { ...request, next: "free" },
  /** Refused by a content policy before a model saw it. */
  filtered: { ...request, next: "none" },

  /** The model, or a filter behind it, declined in an answer, and another one is asked: only where that is configured. */
  declined: { ...request, next: "counted" },

  /** 429. */
  rate_limited: { circuit: "failure", isLearned: true, next: "counted", side: "limit", mayPass: true },
  /** 429 that does not pass by waiting: the account has run out of money or quota. */
  quota: { circuit: "failure", isLearned: true, next: "counted", side: "account", mayPass: false },
  /** 402. */
  payment: { circuit: "doubt", isLearned: true, next: "counted", side: "account", mayPass: false },
  /** 403. */
  forbidden: { circuit: "doubt", isLearned: false, next: "counted", side: "account", mayPass: false },
  /** 404, 410: the provider has no such model, or not for this key. */
  not_found: { circuit: "doubt", isLearned: true, next: "counted", side: "account", mayPass: false },
  /** 409 and what else of 4xx there is. */
  conflict: { circuit: "answer", isLearned: false, next: "counted", side: "account", mayPass: true },
  /** The operator's key is refused: 401, or another status that says so. */
  unauthorized: { circuit: "failure", isLearned: true, next: "counted", side: "operator", mayPass: false },

  server_error: down,
  connection: down,
  cut: down,
  /** Not an answer in OpenAI's form. */
  bad_answer: down,
  /** No text, no tool call, no refusal. */
  empty: down,
  timeout: { ...down, side: "time" },
  /** A bug of Conduit. */
  unexpected: down
} as const satisfies Record<string, Fault>

export type FaultReason = keyof typeof faults

const isFaultReason = (reason: string): reason is FaultReason => Object.hasOwn(faults, reason)

export const faultReasons: ReadonlyArray<FaultReason> = Object.keys(faults).filter(isFaultReason)

/** Those that say nothing about the model: their decisions are left out where models are compared. */
export const unlearnedReasons: ReadonlyArray<FaultReason> = faultReasons.filter((reason) => !faults[reason].isLearned)

/** Rows keep reasons of callers of `/v1/outcomes` too, which are any text: those are failures of the model. */
export const isLearned = (reason: string | null): boolean =>
  reason === null || !isFaultReason(reason) || faults[reason].isLearned

/** What an upstream's refusal says. */
export interface Reading {
  readonly reason: FaultReason
  /** What the model cannot do. */
  readonly lacks: Capability | null
  /** Top-level field of the request that the model does not know, or not with this value. */
  readonly parameter: string | null
}

const cannot =
  /not support|n't support|unsupported|not (?:currently )?(?:available|enabled|allowed|permitted|implemented)|only supported|no endpoints found|does not have|not capable|cannot (?:accept|process|handle|read)|unrecognized|unknown|extra inputs|requires --enable|not a multimodal|invalid content type/i

/** The part itself is at fault, not its kind: another model need not take it either. */
const broken =
  /schema for|invalid[ _]schema|invalid[ _]image|unsupported image|image format|image_parse|media type|mime|too large|too big|download|could not (?:load|fetch|process)|corrupt|base64|malformed/i

/** By what the words are about; first match wins. */
const subjects: ReadonlyArray<readonly [Capability, RegExp]> = [
  ["vision", /\bimages?\b|image_url|input_image|\bvision\b|multi-?modal/i],
  ["audio", /\baudio\b|input_audio/i],
  ["files", /\bfiles?\b|\bpdfs?\b|\bdocuments?\b|file_data/i],
  ["json_schema", /json_schema|response_format|structured[ _]outputs?|guided[ _]decoding|json mode/i],
  ["logprobs", /logprobs/i],
  ["reasoning", /reasoning|\bthinking\b/i],
  ["tools", /\btools?\b|tool[_-](?:use|calls?|choice)|function[ _-]?call|\bfunctions?\b/i]
]

const tooLong =
  /context[ _]length|context window|maximum context|max(?:imum)? (?:prompt|input|sequence) (?:length|tokens)|prompt is too long|input (?:is )?too long|too many (?:input )?tokens|exceed context limit|exceeds? the (?:model's )?(?:maximum|available|max)[^.]*(?:tokens|context)|reduce the length/i

const aboutKey =
  /invalid[ _]api[ _-]?key|incorrect api key|api[ _-]?key (?:not valid|is invalid|expired)|api_key_invalid|invalid[ _]authentication|no auth credentials|authentication[ _](?:error|fails?|failed)|security token included in the request|signature we calculated/i

const outOfMoney =
  /insufficient[ _](?:quota|balance|funds|credits?)|billing|exceeded your current quota|credit balance|out of credits/i

const aboutPolicy = /content[ _](?:policy|filter)|responsibleai|safety system|moderation|data_inspection/i

const aboutRate = /rate[ _-]?limit|too many requests|resource_exhausted|throttl/i

const fieldNames: ReadonlyArray<RegExp> = [
  /unsupported (?:parameter|value)(?:\(s\))?:? ['"`]?([a-z_]+)/i,
  /unrecognized (?:request )?arguments? supplied: ['"`]?([a-z_]+)/i,
  /(?:unknown|unexpected|invalid) (?:name|parameter|field|keyword argument|argument)s?:? ['"`\\]*([a-z_]+)/i,
  /(?:property|parameter|argument|field) ['"`]([a-z_]+)['"`] (?:is )?(?:not supported|unsupported|not permitted|not allowed)/i,
  /['"`]([a-z_]+)['"`] (?:is |does )?(?:not supported|unsupported|not support|deprecated)/i,
  // Anthropic puts the path first.
  /^([a-z_]+)(?:\.[\w.]+)?: extra inputs are not permitted/i
]

const saysField = /^(?:unsupported_parameter|unsupported_value|unknown_parameter|extra_forbidden)$/i

/** The top-level field that the words say the model does not take. */
const fieldIn = ({ code, message, param, type }: ErrorSaid): string | null => {
  const named = fieldNames.map((pattern) => pattern.exec(message ?? "")?.[1]).find((field) => field !== undefined)
  const isAboutField = saysField.test(code ?? "") || saysField.test(type ?? "") || /extra inputs/i.test(message ?? "")
  if (named !== undefined) return named.toLowerCase()
  return isAboutField && param !== null ? (param.split(".")[0] ?? null) : null
}

const plain = (reason: FaultReason): Reading => ({ reason, lacks: null, parameter: null })

/** What is wrong with the request in the eyes of the model that refused it. */
const readRequestFault = (said: ErrorSaid): Reading => {
  const text = [said.code, said.type, said.param, said.message].filter((part) => part !== null).join(" ")
  if (aboutKey.test(text)) return plain("unauthorized")
  if (outOfMoney.test(text)) return plain("payment")
  if (tooLong.test(text)) return plain("context_length")
  if (aboutPolicy.test(text)) return plain("filtered")
  const parameter = fieldIn(said)
  const isUnable = !broken.test(text) && (parameter !== null || cannot.test(text))
  const isOfDialect = parameter === "stream_options" || dialectFields.some((field) => field === parameter)
  const lacks = isUnable && !isOfDialect ? (subjects.find(([, subject]) => subject.test(text))?.[0] ?? null) : null
  return isUnable && (lacks !== null || parameter !== null)
    ? { reason: "unsupported", lacks, parameter }
    : plain("rejected")
}

const soonSeconds = 600
const isSoon = (seconds: number | null): boolean => seconds !== null && seconds <= soonSeconds

/**
 * Reads an upstream's refusal from its status and its said. Codes and types that name the fault come before statuses:
 * gateways wrap a provider's 400 in 404, and a rate limit in 200.
 */
export const readFault = (status: number, said: ErrorSaid, retryDelaySeconds: number | null = null): Reading => {
  const names = `${said.code ?? ""} ${said.type ?? ""}`
  const text = `${names} ${said.message ?? ""}`
  switch (status) {
    case 400:
    case 413:
    case 415:
    case 422:
      return readRequestFault(said)
    case 401:
      return plain("unauthorized")
    case 402:
      return plain("payment")
    case 403:
      return plain(aboutKey.test(text) ? "unauthorized" : "forbidden")
    case 404:
    case 410: {
      // A router that finds no host able to serve the request answers 404 too.
      const reading = readRequestFault(said)
      return reading.reason === "unsupported" && reading.lacks !== null ? reading : plain("not_found")
    }
    case 408:
    case 504:
      return plain("timeout")
    case 429:
      // Google says of every limit that a quota is exceeded, and of those that pass when.
      return plain(outOfMoney.test(text) && !isSoon(retryDelaySeconds) ? "quota" : "rate_limited")
    default:
      return plain(status >= 400 && status < 500 ? "conflict" : "server_error")
  }
}

/** The status that an error inside an answer of 200 stands for. */
export const statusWithin = (said: ErrorSaid): number => {
  const text = `${said.code ?? ""} ${said.type ?? ""}`
  if (said.status !== null) return said.status
  if (aboutRate.test(text) || outOfMoney.test(text)) return 429
  if (aboutKey.test(text)) return 401
  // Anthropic's status for that.
  if (/overloaded/i.test(text)) return 529
  return tooLong.test(text) || /invalid_request|unsupported_/i.test(text) || aboutPolicy.test(text) ? 400 : 500
}

/** One failed call, as far as a client is told of it. */
export interface FailedCall {
  readonly reason: FaultReason
  /** Of the upstream; null if none arrived. */
  readonly status: number | null
  readonly said: ErrorSaid | null
  readonly retryAfterSeconds: number | null
}

/** What a client sees when no model answered. */
export interface ClientFault {
  readonly status: number
  readonly type: string
  readonly code: string
  readonly param: string | null
  /** The upstream's own words; null where it said none, or where they are for the operator. */
  readonly message: string | null
  /** False where sending the same again cannot help; null where the status says enough. */
  readonly shouldRetry: false | null
  readonly retryAfterSeconds: number | null
}

/** Among several refusals the one that a client can act upon best. */
const tellingFirst: ReadonlyArray<FaultReason> = ["context_length", "unsupported", "filtered", "rejected"]

const codes: Partial<Record<FaultReason, readonly [type: string, code: string]>> = {
  context_length: ["invalid_request_error", "context_length_exceeded"],
  rate_limited: ["rate_limit_error", "rate_limit_exceeded"],
  quota: ["insufficient_quota", "insufficient_quota"],
  payment: ["insufficient_quota", "insufficient_quota"],
  forbidden: ["permission_error", "permission_denied"],
  not_found: ["invalid_request_error", "model_not_found"]
}

/** The upstream's own status and said. */
const asSaid = ({ reason, retryAfterSeconds, said, status }: FailedCall, fallback: number): ClientFault => {
  const [type, code] = codes[reason] ?? ["invalid_request_error", "upstream_rejected"]
  return {
    status: status !== null && status >= 400 && status < 500 ? status : (said?.status ?? fallback),
    type: said?.type ?? type,
    // Agents compact their history when they read this code, however the upstream spells it.
    code: reason === "context_length" ? code : (said?.code ?? code),
    param: said?.param ?? null,
    message: said?.message ?? null,
    shouldRetry: faults[reason].mayPass ? null : false,
    retryAfterSeconds
  }
}

const ownFault = (
  status: number,
  code: string,
  calls: ReadonlyArray<FailedCall>,
  type: "server_error" | "rate_limit_error" = "server_error"
): ClientFault => ({
  status,
  type,
  code,
  param: null,
  message: null,
  shouldRetry: calls.some(({ reason }) => faults[reason].mayPass) ? null : false,
  retryAfterSeconds: soonest(calls)
})

/** When the first of them may answer again, if all said so. */
const soonest = (calls: ReadonlyArray<FailedCall>): number | null => {
  const waits = calls.flatMap(({ retryAfterSeconds }) => retryAfterSeconds ?? [])
  return waits.length === 0 || waits.length < calls.length ? null : Math.min(...waits)
}

/**
 * What a client is told of the calls that failed, in their order. A model that the client named speaks for itself; where
 * Conduit had the choice the client's request is at fault only if every model that was asked refused it, and none that
 * might be able to answer is only out of reach now (`isIncomplete`).
 */
export const clientFault = (
  calls: ReadonlyArray<FailedCall>,
  isPinned: boolean,
  isIncomplete: boolean
): ClientFault => {
  const sides = new Set<Fault["side"]>(calls.map(({ reason }) => faults[reason].side))
  const side = sides.size === 1 ? [...sides][0] : undefined
  const first = tellingFirst.flatMap((reason) => calls.find((call) => call.reason === reason) ?? [])[0] ?? calls[0]
  if (first !== undefined && side === "request") {
    return isIncomplete && faults[first.reason].next === "free"
      ? { ...ownFault(503, "circuits_open", calls), shouldRetry: null }
      : asSaid(first, 400)
  }
  if (first !== undefined && side === "limit") {
    const limited = isPinned ? asSaid(first, 429) : ownFault(429, "rate_limit_exceeded", calls, "rate_limit_error")
    return { ...limited, retryAfterSeconds: Math.min(...calls.map((call) => call.retryAfterSeconds ?? 1)) }
  }
  if (first !== undefined && side === "account" && (isPinned || calls.every(({ reason }) => reason === "quota"))) {
    return asSaid(first, 502)
  }
  if (calls.at(-1)?.reason === "timeout") return ownFault(504, "upstream_timeout", calls)
  const isOverloaded = calls.length > 0 && calls.every(({ status }) => status === 503 || status === 529)
  return ownFault(isOverloaded ? 503 : 502, "all_models_failed", calls)
}
