import { useState } from "preact/hooks"
import { key } from "./Api.ts"
import { may, models } from "./Live.ts"
import { Tag } from "./Parts.tsx"

const Command = ({ text }: { readonly text: string }) => {
  const [isCopied, setCopied] = useState(false)
  return (
    <div class="command">
      <pre tabIndex={0}>
        <code>{text}</code>
      </pre>
      {navigator.clipboard === undefined ? null : (
        <button
          type="button"
          class="small"
          onClick={() => {
            void navigator.clipboard.writeText(text)
            setCopied(true)
          }}
        >
          {isCopied ? "Copied" : "Copy"}
        </button>
      )}
    </div>
  )
}

/** What to do next, while there is nothing to see. */
export const Empty = () => {
  const auth = key.value === "" ? "" : ` \\\n  -H "authorization: Bearer $CONDUIT_API_KEY"`
  const isSimulated = models.value.length > 0 && models.value.every(({ conduit }) => conduit.simulated)
  return (
    <section class="panel wide empty" aria-labelledby="empty-title">
      <h2 id="empty-title">No requests yet</h2>
      <p class="lead">
        Conduit chooses a model for each request, and learns from feedback which model suits which kind of request. Here
        you will see it learn.
      </p>
      {may("read:all") ? null : (
        <p>
          This key sees its own requests only; one with the scope <code>read:all</code> sees those of all keys.
        </p>
      )}
      {isSimulated ? (
        <p>
          <Tag>simulated</Tag> No provider’s key is set, so the models are simulated: good for trying, they cost
          nothing.
        </p>
      ) : null}
      {may("route") ? <Steps auth={auth} /> : null}
    </section>
  )
}

const Steps = ({ auth }: { readonly auth: string }) => (
  <>
    {key.value === "" ? null : (
      <p>
        First <code>export CONDUIT_API_KEY=…</code> with the key that you have just used.
      </p>
    )}
    <ol>
      <li>
        <h3>Ask</h3>
        <Command
          text={`curl -i ${location.origin}/v1/chat/completions${auth} \\\n  -H 'content-type: application/json' \\\n  -d '{"model": "auto", "messages": [{"role": "user", "content": "What is 17 * 23?"}], "conduit": {"task": "math"}}'`}
        />
        <p>
          Any OpenAI client works: its base URL is <code>{location.origin}/v1</code>.
        </p>
      </li>
      <li>
        <h3>Judge the answer</h3>
        <p>
          By the header <code>x-conduit-decision-id</code> of the answer; or here, where each decision has buttons for
          it.
        </p>
        <Command
          text={`curl ${location.origin}/v1/feedback${auth} \\\n  -H 'content-type: application/json' \\\n  -d '{"decision_id": "ID", "kind": "thumbs", "value": "up"}'`}
        />
      </li>
    </ol>
  </>
)
