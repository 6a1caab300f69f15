// What the service uses of undici: its index loads fetch, web sockets, caches and mocks as well, a tenth of a start.
// The bundle takes this file in its place. The methods of a dispatcher, such as `request`, are put on it by the index.
import api from "undici/lib/api/index.js"
import errors from "undici/lib/core/errors.js"
import Agent from "undici/lib/dispatcher/agent.js"
import Client from "undici/lib/dispatcher/client.js"
import Dispatcher from "undici/lib/dispatcher/dispatcher.js"
import EnvHttpProxyAgent from "undici/lib/dispatcher/env-http-proxy-agent.js"
import Pool from "undici/lib/dispatcher/pool.js"

Object.assign(Dispatcher.prototype, api)

export { Agent, Client, Dispatcher, EnvHttpProxyAgent, errors, Pool }
