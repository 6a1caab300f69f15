import { arrayOf, isObject, type JsonObject, parseJson } from "./Json.ts"

/**
 * A chunk whose delta holds several tool calls, as chunks of one call each, which is how OpenAI streams them: there are
 * clients that read the first call of a chunk only (LlamaIndex 0.12). What else the delta says is in the first of them, the
 * finish reason in the last. Any other chunk stays as it is, to the byte.
 */
export const oneCallEach = (data: string, body: JsonObject): ReadonlyArray<string> => {
  if (!arrayOf(body["choices"]).some((choice) => callsOf(choice).length > 1)) return [data]
  const chunk = parseJson(data)
  if (!isObject(chunk)) return [data]
  return arrayOf(chunk["choices"])
    .flatMap(choicesOfOneCall)
    .map((choice) => JSON.stringify({ ...chunk, choices: [choice] }))
}

const callsOf = (choice: unknown): ReadonlyArray<unknown> =>
  isObject(choice) && isObject(choice["delta"]) ? arrayOf(choice["delta"]["tool_calls"]) : []

const choicesOfOneCall = (choice: unknown): ReadonlyArray<unknown> => {
  const calls = callsOf(choice)
  if (!isObject(choice) || !isObject(choice["delta"]) || calls.length < 2) return [choice]
  const { delta, finish_reason = null, index } = choice
  return calls.map((call, i) => ({
    ...(i === 0 ? choice : { index }),
    delta: { ...(i === 0 ? delta : {}), tool_calls: [call] },
    finish_reason: i === calls.length - 1 ? finish_reason : null
  }))
}
