import * as Context from "effect/Context"
import type { Dispatcher } from "undici"

/** The connections to the providers. They close in the shutdown's flush phase, when no call is left. */
export interface UpstreamPoolsShape {
  /**
   * By the provider's name, for the current catalogue; providers of one origin share a pool; simulated ones have none.
   * A pool whose origin left the catalogue closes when its calls have ended. The same map as long as the catalogue is.
   */
  readonly pools: () => ReadonlyMap<string, Dispatcher>
}

export class UpstreamPools extends Context.Tag("conduit/services/UpstreamPools")<UpstreamPools, UpstreamPoolsShape>() {}
