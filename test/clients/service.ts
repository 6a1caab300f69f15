import { type ConduitProcess, killAll, startConduit } from "../support/conduit.ts"
import { startUpstream } from "../support/processMock.ts"
import { type Call, type Case, ownUpstreams, upstreams } from "./cases.ts"

/** The built service before the mock upstream, with the models of all cases. */
export interface ClientService {
  /** Without `/v1`. */
  readonly url: string
  readonly conduit: ConduitProcess
  /** What this client is told to do in this case. */
  readonly callOf: (one: Case, client: string) => Call
  readonly close: () => Promise<void>
}

export const rightKey = "sk-clients-right"
export const wrongKey = "sk-clients-wrong"

const modelOf = ({ upstream }: Pick<Case, "upstream">, client: string) =>
  ownUpstreams.includes(upstream) ? `${upstream}--${client}` : upstream

/** `clients` are names that can stand in a model's id. Where there is no database it brings its own. */
export const startClientService = async (
  clients: ReadonlyArray<string>,
  options: { readonly databaseUrl?: string } = {}
): Promise<ClientService> => {
  const names = Object.keys(upstreams) as ReadonlyArray<keyof typeof upstreams>
  const mock = await startUpstream({ models: names.map((name) => ({ name, ...upstreams[name] })) })
  const models = names.flatMap((upstream) =>
    (ownUpstreams.includes(upstream) ? clients : [""]).map((client) => ({
      id: modelOf({ upstream }, client),
      upstream
    }))
  )
  const conduit = await startConduit({
    ...options,
    upstream: mock.url,
    models,
    env: { CONDUIT_API_KEYS: rightKey }
  })
  return {
    url: conduit.url,
    conduit,
    callOf: (one, client) => ({
      do: one.do,
      model: modelOf(one, client),
      key: one.wrongKey === true ? wrongKey : rightKey,
      usage: one.usage === true
    }),
    close: async () => {
      await killAll()
      await mock.close()
    }
  }
}
