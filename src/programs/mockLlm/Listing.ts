import type * as Http from "node:http"
import type { ModelScript } from "../../domain/simulation/Script.ts"
import { sendError, sendJson } from "./Http.ts"
import type { Models } from "./MockScript.ts"

const entryOf = ({ listed, name, ...script }: ModelScript) => ({
  id: name,
  object: "model",
  created: 0,
  owned_by: "mock-llm",
  simulated: true,
  ...script,
  ...listed
})

/** Answers LiteLLM's `GET /v1/model/info`. */
export const sendInfo = (response: Http.ServerResponse, models: Models): void =>
  sendJson(response, 200, {
    data: models.all().map(({ listed = {}, name }) => ({
      model_name: name,
      litellm_params: { model: name },
      model_info: listed
    }))
  })

/** Answers Google's `GET /v1beta/models`. */
export const sendGoogleList = (response: Http.ServerResponse, models: Models): void =>
  sendJson(response, 200, {
    models: models.all().map(({ contextWindow, listed, name }) => ({
      name: `models/${name}`,
      displayName: name,
      inputTokenLimit: contextWindow,
      outputTokenLimit: 8192,
      supportedGenerationMethods: ["generateContent", "countTokens"],
      ...listed
    }))
  })

/** Answers `GET /v1/models` in the form of the script. */
export const sendList = (response: Http.ServerResponse, models: Models): void => {
  const entries = models.all().map(entryOf)
  switch (models.list) {
    case "data":
      return sendJson(response, 200, { object: "list", data: entries })
    case "array":
      return sendJson(response, 200, entries)
    case "models":
      return sendJson(response, 200, { models: entries })
    case "litellm":
      return sendJson(response, 200, {
        object: "list",
        data: models.all().map(({ name }) => ({ id: name, object: "model", created: 0, owned_by: "openai" }))
      })
    case "none":
      return sendError(response, 404, { message: "no list", type: "invalid_request_error", code: "not_found" })
    case "refused":
      return sendError(response, 401, { message: "no", type: "invalid_request_error", code: "invalid_api_key" })
    case "broken":
      response.writeHead(200, { "content-type": "text/html" })
      response.end("<html>")
      return
    case "silent":
      return
  }
}
