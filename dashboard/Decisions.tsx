import { signal } from "@preact/signals"
import { useEffect } from "preact/hooks"
import type { DecisionEntry } from "../src/services/api/Responses.ts"
import { judgedQuality } from "./Calibration.tsx"
import { ago, milliseconds, quality, usd } from "./Format.ts"
import { decisions, trouble } from "./Live.ts"
import { ModelName, Nothing, Panel, Tag } from "./Parts.tsx"

export const opened = signal<string | null>(null)
const now = signal(Date.now())
const shown = 12

export const reasons: Readonly<Record<string, string>> = {
  best: "best score",
  explore: "explored",
  probe: "tried again",
  pinned: "named by the client",
  session: "kept for its session",
  only_eligible: "the only one possible",
  fallback: "fallback",
  control: "drawn for comparison",
  observe: "only observed",
  static: "learning failed"
}

export const Result = ({ of }: { readonly of: DecisionEntry }) => {
  if (of.outcome === null) return <Tag>decided only</Tag>
  const kind = of.outcome.kind
  if (of.outcome.ok) return <Tag tone="good">answered</Tag>
  return <Tag tone={kind === "refused" ? "warn" : "bad"}>{of.outcome.aborted ? "cut off" : kind}</Tag>
}

/** The newest decisions as they happen; each opens to its explanation. */
export const Decisions = () => {
  useEffect(() => {
    const timer = setInterval(() => (now.value = Date.now()), 1_000)
    return () => clearInterval(timer)
  }, [])
  const newest = (decisions.value ?? []).slice(0, shown)
  return (
    <Panel id="decisions" wide title="Last decisions" about="As they happen. Each opens to why that model was chosen.">
      {trouble.value === null ? null : (
        <p class="error" role="alert">
          No new decisions can be shown: {trouble.value}
        </p>
      )}
      {newest.length === 0 ? (
        <Nothing>None yet.</Nothing>
      ) : (
        <table class="plain cards decisions">
          <thead>
            <tr>
              <th scope="col">When</th>
              <th scope="col">Task</th>
              <th scope="col">Model</th>
              <th scope="col">Why</th>
              <th scope="col">Result</th>
              <th scope="col">Quality</th>
              <th scope="col">Cost</th>
              <th scope="col">Time</th>
              <th scope="col">
                <span class="hidden">Explanation</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {newest.map((one) => (
              <tr key={one.id} data-decision={one.id}>
                <td data-label="When">{ago(one.created_at, now.value)}</td>
                <td data-label="Task">{one.request.task ?? <span class="soft">none</span>}</td>
                <td data-label="Model">
                  <ModelName name={one.chosen} />
                </td>
                <td data-label="Why">{reasons[one.reason] ?? one.reason}</td>
                <td data-label="Result">
                  <Result of={one} />
                </td>
                <td data-label="Quality">{quality(judgedQuality(one))}</td>
                <td data-label="Cost">{usd(one.outcome?.cost_usd)}</td>
                <td data-label="Time">{milliseconds(one.outcome?.latency_ms)}</td>
                <td>
                  <button
                    type="button"
                    class="small"
                    aria-label={`Explain the decision for ${one.chosen}, ${one.request.task ?? "no task"}`}
                    onClick={() => (opened.value = one.id)}
                  >
                    Explain
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Panel>
  )
}
