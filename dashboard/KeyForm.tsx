import { useRef } from "preact/hooks"
import { key, mayNotRead, useKey } from "./Api.ts"

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
      <p>
        One that may read (scope <code>read</code>): of <code>CONDUIT_API_KEYS</code>, of the file of keys, or made with{" "}
        <code>conduit keys create</code>. It stays in this tab and is sent to this service only.
      </p>
      {key.value === "" ? null : (
        <p class="error" role="alert">
          {mayNotRead.value
            ? "That key is valid, but it may not read: it lacks the scope read. Use another one here."
            : "The service does not accept that key."}
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
