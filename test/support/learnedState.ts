import { request } from "./conduit.ts"

/** What a replica says it has learned, to the last digit, and the log position at which it says so. */
export interface LearnedState {
  readonly position: number
  /** Of each model, everything that the fold decides, as the JSON that was answered. */
  readonly models: Readonly<Record<string, string>>
  readonly observations: number
}

export const positionOf = async (url: string): Promise<number> => {
  const { text } = await request(`${url}/metrics`)
  const [, value] = /^conduit_learning_position (\d+)$/m.exec(text) ?? []
  if (value === undefined) throw new Error(`no position in the metrics of ${url}`)
  return Number(value)
}

/** Read between two equal positions, so that it belongs to that one. */
export const learnedState = async (url: string): Promise<LearnedState> => {
  for (let tries = 0; tries < 50; tries++) {
    const position = await positionOf(url)
    const { json } = await request(`${url}/v1/models`)
    if ((await positionOf(url)) !== position) continue
    const models: Record<string, string> = {}
    let observations = 0
    for (const { conduit, id } of json.data) {
      if (id === "auto") continue
      const { latency_seconds, output_tokens, quality, share, success_rate } = conduit
      models[id] = JSON.stringify({ quality, success_rate, output_tokens, latency_seconds, share })
      observations += quality.observations
    }
    return { position, models, observations }
  }
  throw new Error(`${url} does not stand still`)
}
