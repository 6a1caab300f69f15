import { useState } from "preact/hooks"
import { preferenceNames } from "../src/domain/routing/Weights.ts"
import type { ChatCompletion, DecisionEntry } from "../src/services/api/Responses.ts"
import { ask } from "./Api.ts"
import { Candidates } from "./Explanation.tsx"
import { milliseconds, usd } from "./Format.ts"
import { may } from "./Live.ts"
import { ModelName, Nothing, Panel, Tag } from "./Parts.tsx"

type Completion = (typeof ChatCompletion)["Type"]

interface Side {
  readonly preference: string
  readonly maxCostUsd: string
  readonly minQuality: string
  readonly maxSeconds: string
}

interface Tried {
  readonly decision: DecisionEntry
  readonly answer: string | null
  readonly isSimulated: boolean
}

const optionsOf = (side: Side, task: string) => ({
  preference: side.preference,
  ...(task === "" ? {} : { task }),
  constraints: {
    ...(side.maxCostUsd === "" ? {} : { max_cost_usd: Number(side.maxCostUsd) }),
    ...(side.minQuality === "" ? {} : { min_quality: Number(side.minQuality) }),
    ...(side.maxSeconds === "" ? {} : { max_latency_ms: Math.ceil(1000 * Number(side.maxSeconds)) })
  }
})

const decide = async (prompt: string, task: string, side: Side): Promise<Tried> => {
  const { body } = await ask<DecisionEntry>("/v1/route", { prompt, ...optionsOf(side, task) })
  return { decision: body, answer: null, isSimulated: false }
}

const answer = async (prompt: string, task: string, side: Side): Promise<Tried> => {
  const { body, headers } = await ask<Completion>("/v1/chat/completions", {
    model: "auto",
    messages: [{ role: "user", content: prompt }],
    conduit: optionsOf(side, task)
  })
  const id = headers.get("x-conduit-decision-id") ?? ""
  const decision = await ask<DecisionEntry>(`/v1/decisions/${id}`)
  return {
    decision: decision.body,
    answer: body.choices[0]?.message.content ?? "",
    isSimulated: headers.get("x-conduit-simulated") === "true"
  }
}

type Result = { readonly tried: Tried } | { readonly error: string } | null

const Settings = (props: { readonly name: string; readonly side: Side; readonly set: (side: Side) => void }) => {
  const { name, set, side } = props
  return (
    <fieldset class="side">
      <legend>Settings {name}</legend>
      <label>
        What counts most
        <select value={side.preference} onChange={(event) => set({ ...side, preference: event.currentTarget.value })}>
          {preferenceNames.map((preference) => (
            <option key={preference} value={preference}>
              {preference}
            </option>
          ))}
        </select>
      </label>
      <label>
        At most, USD
        <input
          type="number"
          min="0"
          step="any"
          placeholder="no limit"
          value={side.maxCostUsd}
          onInput={(event) => set({ ...side, maxCostUsd: event.currentTarget.value })}
        />
      </label>
      <label>
        Quality at least
        <input
          type="number"
          min="0"
          max="1"
          step="0.05"
          placeholder="no limit"
          value={side.minQuality}
          onInput={(event) => set({ ...side, minQuality: event.currentTarget.value })}
        />
      </label>
      <label>
        At most, seconds
        <input
          type="number"
          min="0.001"
          step="any"
          placeholder="no limit"
          value={side.maxSeconds}
          onInput={(event) => set({ ...side, maxSeconds: event.currentTarget.value })}
        />
      </label>
    </fieldset>
  )
}

const Shown = ({ result }: { readonly result: Result }) => {
  if (result === null) return <Nothing>Not tried yet.</Nothing>
  if ("error" in result) return <p class="error">{result.error}</p>
  const { answer, decision, isSimulated } = result.tried
  return (
    <>
      <p class="lead">
        <ModelName name={decision.chosen} />
        {answer === null ? null : (
          <span class="soft">
            {usd(decision.outcome?.cost_usd)}, {milliseconds(decision.outcome?.latency_ms)}
          </span>
        )}
      </p>
      {answer === null ? null : (
        <blockquote>
          {isSimulated ? <Tag>simulated answer</Tag> : null} {answer}
        </blockquote>
      )}
      <Candidates of={decision} />
    </>
  )
}

const about =
  "One prompt under two settings. Both are real requests: they are stored as decisions, and asking costs what the models cost."

/** A prompt of one's own under two settings side by side. */
export const TryIt = () => {
  const [prompt, setPrompt] = useState("Write a function that reverses a linked list.")
  const [task, setTask] = useState("")
  const [sides, setSides] = useState<readonly [Side, Side]>([
    { preference: "balanced", maxCostUsd: "", minQuality: "", maxSeconds: "" },
    { preference: "cost", maxCostUsd: "", minQuality: "", maxSeconds: "" }
  ])
  const [results, setResults] = useState<readonly [Result, Result]>([null, null])
  const [isBusy, setBusy] = useState(false)
  const run = async (way: typeof decide) => {
    setBusy(true)
    const each = (side: Side): Promise<Result> =>
      way(prompt, task.trim(), side).then(
        (tried) => ({ tried }),
        (error: unknown) => ({ error: error instanceof Error ? error.message : "It did not arrive." })
      )
    const [first, second] = await Promise.all([each(sides[0]), each(sides[1])])
    setResults([first, second])
    setBusy(false)
  }
  if (!may("route")) {
    return (
      <Panel id="try" wide title="Try it" about={about}>
        <Nothing>
          This key may not ask models: it lacks the scope <code>route</code>.
        </Nothing>
      </Panel>
    )
  }
  return (
    <Panel id="try" wide title="Try it" about={about}>
      <form
        class="try"
        onSubmit={(event) => {
          event.preventDefault()
          void run(decide)
        }}
      >
        <label class="prompt">
          Prompt
          <textarea rows={3} required value={prompt} onInput={(event) => setPrompt(event.currentTarget.value)} />
        </label>
        <label>
          Task, if it has a name
          <input
            type="text"
            maxLength={64}
            placeholder="such as code"
            value={task}
            onInput={(event) => setTask(event.currentTarget.value)}
          />
        </label>
        <div class="columns">
          <Settings name="A" side={sides[0]} set={(side) => setSides([side, sides[1]])} />
          <Settings name="B" side={sides[1]} set={(side) => setSides([sides[0], side])} />
        </div>
        <div class="row">
          <button type="submit" class="primary" disabled={isBusy}>
            Decide
          </button>
          <button type="button" disabled={isBusy} onClick={() => void run(answer)}>
            Decide and ask the model
          </button>
        </div>
      </form>
      {results[0] === null && results[1] === null ? null : (
        <div class="columns results" aria-live="polite">
          <section aria-label="With settings A">
            <h3>A</h3>
            <Shown result={results[0]} />
          </section>
          <section aria-label="With settings B">
            <h3>B</h3>
            <Shown result={results[1]} />
          </section>
        </div>
      )}
    </Panel>
  )
}
