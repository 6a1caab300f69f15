import { useRef } from "preact/hooks"
import { key, useKey } from "./Api.ts"

/** Asked for once: the tab keeps it. */
export const KeyForm = () => {
  const input = useRef<HTMLInputElement>(null)
  return (
    <form
      class="panel key"
      onSubmit={(event) => {
        event.preventDefault()
        const text = input.current?.value.trim() ?? ""
        if (text !== "") useKey(text)
      }}
    >
      <h2>This service needs a key</h2>
      <p>One of those it was started with (CONDUIT_API_KEYS). It stays in this tab and is sent to this service only.</p>
      {key.value === "" ? null : (
        <p class="error" role="alert">
          The service does not accept that key.
        </p>
      )}
      <label for="key">API key</label>
      <div class="row">
        <input id="key" ref={input} type="password" autocomplete="off" required />
        <button type="submit" class="primary">
          Open
        </button>
      </div>
    </form>
  )
}
