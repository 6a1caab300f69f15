import { key, needsKey } from "./Api.ts"
import { choose, chosenWindow, windowNames, windows } from "./Figures.ts"
import { plural } from "./Format.ts"
import { connection, service } from "./Live.ts"

const phases: Readonly<Record<string, string>> = {
  starting: "Starting",
  running: "Running",
  settle: "Shutting down: still serving",
  drain: "Shutting down: finishing requests",
  persist: "Shutting down: saving what was learned",
  close: "Shutting down: closing the database",
  flush: "Shutting down: almost done",
  stopped: "Stopped"
}

const State = () => {
  const isLive = connection.value === "live"
  const { phase, in_flight: inFlight } = service.value ?? { phase: "starting", in_flight: 0 }
  const tone = !isLive ? "warn" : phase === "running" ? "good" : "warn"
  const text = isLive
    ? service.value === null
      ? "Connecting"
      : (phases[phase] ?? phase)
    : needsKey.value
      ? "Waiting for a key"
      : connection.value === "connecting"
        ? "Connecting"
        : "No connection: trying again"
  return (
    <p class={`state ${tone}`} role="status" id="state">
      <i aria-hidden="true" />
      <span>{text}</span>
      {isLive && service.value !== null ? <span class="soft">{plural(inFlight, "request")} in flight</span> : null}
    </p>
  )
}

export const Header = () => (
  <header class="top">
    <div class="brand">
      <svg viewBox="0 0 32 32" aria-hidden="true">
        <rect width="32" height="32" rx="8" />
        <path d="M7 16h7l6-7h5M14 16l6 7h5" />
      </svg>
      <h1>Conduit</h1>
    </div>
    <State />
    <fieldset class="windows">
      <legend class="hidden">Figures of the last</legend>
      {windowNames.map((name) => (
        <label key={name}>
          <input type="radio" name="window" checked={chosenWindow.value === name} onChange={() => choose(name)} />
          <span>{windows[name].label}</span>
        </label>
      ))}
    </fieldset>
    <nav aria-label="More">
      <a href="/docs">API</a>
      {key.value === "" ? null : (
        <button
          type="button"
          class="link"
          onClick={() => {
            sessionStorage.clear()
            location.reload()
          }}
        >
          Forget key
        </button>
      )}
    </nav>
  </header>
)
