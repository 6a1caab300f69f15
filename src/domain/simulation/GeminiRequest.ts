import { arrayOf, isObject, type JsonObject, textOf } from "../models/Json.ts"
import { problemWith, requestFrom, type SimulatedRequest } from "./ChatRequest.ts"

// Google's request as a simulated upstream reads it: as strictly as the vendor's, in its words, and by nothing that Conduit's
// own translation is made of.

const members: ReadonlySet<string> = new Set([
  "cachedContent",
  "contents",
  "generationConfig",
  "labels",
  "mock",
  "safetySettings",
  "serviceTier",
  "store",
  "systemInstruction",
  "toolConfig",
  "tools"
])

const configMembers: ReadonlySet<string> = new Set([
  "candidateCount",
  "frequencyPenalty",
  "maxOutputTokens",
  "presencePenalty",
  "responseJsonSchema",
  "responseMimeType",
  "responseSchema",
  "seed",
  "stopSequences",
  "temperature",
  "thinkingConfig",
  "topK",
  "topP"
])

/** What a simulated model signs its thoughts with, in base64. */
export const mockThoughtSignature = Buffer.from("mock-signature-1").toString("base64")
const anySignature = "skip_thought_signature_validator"

/** From the third generation on calls have ids, and those of a history have to be signed. */
export const isNewGeneration = (model: string): boolean => !/gemini-[12](?:\D|$)/.test(model)

const partsOf = (content: JsonObject): ReadonlyArray<JsonObject> => arrayOf(content["parts"]).filter(isObject)
const configOf = (body: JsonObject): JsonObject => (isObject(body["generationConfig"]) ? body["generationConfig"] : {})
const thinkingOf = (body: JsonObject): JsonObject => {
  const { thinkingConfig } = configOf(body)
  return isObject(thinkingConfig) ? thinkingConfig : {}
}

export const wantsThoughtsShown = (body: JsonObject): boolean => thinkingOf(body)["includeThoughts"] === true

const kinds = ["text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode"]

const partProblem = (part: JsonObject, path: string): string | null => {
  const data = kinds.filter((kind) => part[kind] !== undefined)
  if (data.length !== 1) return `${path}.data: required oneof field 'data' must have one initialized field`
  const { functionCall: call, functionResponse: response, inlineData: inline, thoughtSignature: signature } = part
  if (isObject(call) && (textOf(call["name"]) === null || !isObject(call["args"])))
    return `${path}: Name cannot be empty.`
  if (isObject(response) && (textOf(response["name"]) === null || !isObject(response["response"]))) {
    return `${path}.function_response.name: Name cannot be empty.`
  }
  if (isObject(inline) && (textOf(inline["mimeType"]) === null || textOf(inline["data"]) === null)) {
    return `${path}.inline_data: Unable to process input image`
  }
  return signature === undefined || signature === mockThoughtSignature || signature === anySignature
    ? null
    : `${path}: Invalid thought signature.`
}

/** As many results as calls, right behind them; and a signature on the first of them, where the model asks for it. */
const loopProblem = (contents: ReadonlyArray<JsonObject>, i: number, model: string): string | null => {
  const calls = partsOf(contents[i] ?? {}).filter((part) => part["functionCall"] !== undefined)
  if (calls.length === 0) return null
  const [first] = calls
  if (isNewGeneration(model) && first?.["thoughtSignature"] === undefined) {
    return "Function call is missing a thought_signature in functionCall parts."
  }
  const next = contents[i + 1]
  if (next === undefined) return null
  const results = partsOf(next).filter((part) => part["functionResponse"] !== undefined)
  return results.length === calls.length
    ? null
    : "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn."
}

const contentsProblem = (body: JsonObject, model: string): string | null => {
  const contents = arrayOf(body["contents"]).filter(isObject)
  if (contents.length === 0) return "* GenerateContentRequest.contents: contents is not specified"
  for (const [i, content] of contents.entries()) {
    const { role } = content
    if (role !== "user" && role !== "model") return "Please use a valid role: user, model."
    const parts = partsOf(content)
    if (parts.length === 0) return `* GenerateContentRequest.contents[${i}].parts: contents.parts must not be empty.`
    const problem = parts
      .map((part, at) => partProblem(part, `contents[${i}].parts[${at}]`))
      .find((one) => one !== null)
    if (problem !== undefined) return problem
    const loop = role === "model" ? loopProblem(contents, i, model) : null
    if (loop !== null) return loop
  }
  return contents[0]?.["role"] === "model" && partsOf(contents[0]).some((part) => part["functionCall"] !== undefined)
    ? "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
    : null
}

const toolsProblem = (body: JsonObject, model: string): string | null => {
  const tools = arrayOf(body["tools"]).filter(isObject)
  const withFunctions = tools.filter((tool) => tool["functionDeclarations"] !== undefined)
  if (withFunctions.length > 1) return "Multiple tools are supported only when they are all search tools."
  for (const declaration of arrayOf(withFunctions[0]?.["functionDeclarations"])) {
    if (!isObject(declaration) || !/^[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}$/.test(String(declaration["name"]))) {
      return "Invalid function name. Must start with a letter or an underscore."
    }
  }
  const { responseMimeType: type } = configOf(body)
  return withFunctions.length > 0 && type === "application/json" && !isNewGeneration(model)
    ? "Function calling with a response mime type: 'application/json' is unsupported"
    : null
}

const configProblem = (body: JsonObject, model: string): string | null => {
  const config = configOf(body)
  const unknown = Object.keys(config).find((name) => !configMembers.has(name))
  if (unknown !== undefined) {
    return `Invalid JSON payload received. Unknown name "${unknown}" at 'generation_config': Cannot find field.`
  }
  const { thinkingBudget, thinkingLevel } = thinkingOf(body)
  if (thinkingBudget !== undefined && thinkingLevel !== undefined) {
    return "You can only set only one of thinking budget and thinking level."
  }
  if (thinkingLevel !== undefined && !isNewGeneration(model)) return "Thinking level is not supported for this model."
  return arrayOf(config["stopSequences"]).length > 5 ? "The maximum number of stop sequences is 5." : null
}

/** Why a model would refuse the body with status 400; null if it is fine. */
export const problemWithGemini = (body: JsonObject, model: string): string | null => {
  const unknown = Object.keys(body).find((name) => !members.has(name))
  if (unknown !== undefined) return `Invalid JSON payload received. Unknown name "${unknown}": Cannot find field.`
  return (
    configProblem(body, model) ??
    toolsProblem(body, model) ??
    contentsProblem(body, model) ??
    problemWith({ model, messages: [{ role: "user", content: "" }], mock: body["mock"] })
  )
}

const textIn = (parts: ReadonlyArray<JsonObject>): string =>
  parts
    .map(
      ({ functionResponse, text }) =>
        textOf(text) ?? (functionResponse === undefined ? "" : JSON.stringify(functionResponse))
    )
    .join("\n")

const choiceOf = (config: unknown): unknown => {
  const calling = isObject(config) ? config["functionCallingConfig"] : null
  if (!isObject(calling)) return undefined
  const [name] = arrayOf(calling["allowedFunctionNames"])
  if (calling["mode"] === "NONE") return "none"
  if (calling["mode"] !== "ANY") return "auto"
  return name === undefined ? "required" : { type: "function", function: { name } }
}

/** Google's own schemas have their types in capitals. */
const inLowerCase = (schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map(inLowerCase)
  if (!isObject(schema)) return schema
  return Object.fromEntries(
    Object.entries(schema).map(([name, value]) => [
      name,
      name === "type" && typeof value === "string" ? value.toLowerCase() : inLowerCase(value)
    ])
  )
}

/** What a simulated model reads of it. */
export const requestFromGemini = (body: JsonObject): SimulatedRequest => {
  const contents = arrayOf(body["contents"]).filter(isObject)
  const last = partsOf(contents.at(-1) ?? {})
  const isAnswering = last.length > 0 && last.every((part) => part["functionResponse"] !== undefined)
  const config = configOf(body)
  const { responseJsonSchema, responseMimeType: type, responseSchema } = config
  const schema = responseJsonSchema ?? inLowerCase(responseSchema)
  const system = isObject(body["systemInstruction"]) ? textIn(partsOf(body["systemInstruction"])) : null
  return requestFrom({
    model: "",
    messages: [
      ...(system === null ? [] : [{ role: "system", content: system }]),
      ...contents.map((content, i) => ({
        role: isAnswering && i === contents.length - 1 ? "tool" : content["role"] === "model" ? "assistant" : "user",
        content: textIn(partsOf(content))
      }))
    ],
    max_tokens: config["maxOutputTokens"],
    stop: config["stopSequences"],
    tools: arrayOf(body["tools"])
      .flatMap((tool) => (isObject(tool) ? arrayOf(tool["functionDeclarations"]) : []))
      .flatMap((tool) =>
        isObject(tool)
          ? [
              {
                type: "function",
                function: { name: tool["name"], parameters: tool["parametersJsonSchema"] ?? tool["parameters"] }
              }
            ]
          : []
      ),
    tool_choice: choiceOf(body["toolConfig"]),
    response_format:
      type !== "application/json"
        ? undefined
        : schema === undefined
          ? { type: "json_object" }
          : { type: "json_schema", json_schema: { name: "x", schema } },
    mock: body["mock"]
  })
}
