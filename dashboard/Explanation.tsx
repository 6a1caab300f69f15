import { useEffect, useRef, useState } from "preact/hooks"
import type { DecisionEntry } from "../src/services/api/Responses.ts"
import { ask, uuid } from "./Api.ts"
import { opened, reasons, Result } from "./Decisions.tsx"
import { count, milliseconds, moment, percent, plural, quality, usd } from "./Format.ts"
import { decisions, keep, may, models } from "./Live.ts"
import { ModelName, Nothing, Tag } from "./Parts.tsx"

const exclusions: Readonly<Record<string, string>> = {
  max_cost_usd: "would cost more than allowed",
  max_latency_ms: "would take longer than allowed",
  min_quality: "is not expected to be good enough",
  allowed_models: "is not among the allowed models",
  provider: "is of another provider",
  context: "cannot take so long a prompt",
  price_unknown: "has no known price, and the cost is limited",
  disabled: "is not available",
  circuit: "failed lately and is left alone for a while",
  rate_limit: "asked to be left alone for a while"
}

const whyNot = (excludedBy: string | null) =>
  excludedBy === null
    ? ""
    : excludedBy.startsWith("capability:")
      ? `cannot do ${excludedBy.slice("capability:".length)}`
      : (exclusions[excludedBy] ?? excludedBy)

type Candidate = DecisionEntry["candidates"][number]

/** The parts of the expected score, one behind the other. */
const Score = ({ most, of: { parts } }: { readonly of: Candidate; readonly most: number }) => (
  <span class="parts" aria-hidden="true">
    {(["quality", "cost", "latency"] as const).map((name) => (
      <i key={name} class={name} style={{ width: `${Math.max(0, (100 * parts[name]) / most)}%` }} />
    ))}
  </span>
)

/** Not certain where it only rounds to that. */
const chance = (propensity: number) =>
  percent(propensity, propensity < 0.1 || (propensity > 0.99 && propensity < 1) ? 1 : 0)

const expected = ({ parts }: Candidate) => parts.quality + parts.cost + parts.latency

export const Candidates = ({ of }: { readonly of: DecisionEntry }) => {
  const first = of.attempts[0]?.model ?? of.chosen
  const sorted = [...of.candidates].sort(
    (a, b) => Number(b.eligible) - Number(a.eligible) || b.propensity - a.propensity || expected(b) - expected(a)
  )
  const most = Math.max(0.01, ...of.candidates.map(expected))
  return (
    <>
      <table class="plain cards candidates">
        <caption class="hidden">The models that were compared</caption>
        <thead>
          <tr>
            <th scope="col">Model</th>
            <th scope="col">Chance</th>
            <th scope="col">Expected score</th>
            <th scope="col">Quality</th>
            <th scope="col">Cost</th>
            <th scope="col">Time</th>
          </tr>
        </thead>
        <tbody>
          {sorted.map((one) => (
            <tr key={one.model} class={one.eligible ? "" : "out"}>
              <th scope="row">
                <ModelName name={one.model} />
                {one.model === first ? <Tag tone="good">chosen</Tag> : null}
                {one.eligible ? null : <span class="soft block">{whyNot(one.excluded_by)}</span>}
              </th>
              <td data-label="Chance">{one.eligible ? chance(one.propensity) : "–"}</td>
              <td data-label="Expected score">
                {expected(one).toFixed(2)} <span class="soft">drawn {one.score.toFixed(2)}</span>
                <Score of={one} most={most} />
              </td>
              <td data-label="Quality">
                {quality(one.quality)} <span class="soft">± {quality(one.quality_sd)}</span>
              </td>
              <td data-label="Cost">
                {usd(one.cost_usd)}
                {one.conversation_cost_usd === undefined ? null : (
                  <span class="soft block">
                    {usd(one.conversation_cost_usd)} a turn of this conversation, with what is cached
                  </span>
                )}
              </td>
              <td data-label="Time">{milliseconds(1000 * one.latency_seconds)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="note parts-legend">
        The expected score is
        <span>
          <i class="quality" /> quality × {of.request.weights.quality.toFixed(2)}
        </span>
        <span>
          <i class="cost" /> cheapness × {of.request.weights.cost.toFixed(2)}
        </span>
        <span>
          <i class="latency" /> speed × {of.request.weights.latency.toFixed(2)}.
        </span>
        {of.pacing === undefined || of.pacing.multiplier === 0
          ? null
          : `A budget is spent too fast, so each ${usd(of.pacing.budget_usd)} of cost takes ${of.pacing.multiplier.toFixed(2)} off. `}
        The drawn score has chance in it, so that models of which little is known are tried.
      </p>
    </>
  )
}

/** What is learned of the model that answered, for this kind of request. */
const learnedOf = (one: DecisionEntry) => {
  const model = models.value.find(({ id }) => id === one.chosen)?.conduit
  return model?.tasks.find(({ task }) => task === one.request.task) ?? model?.quality ?? null
}

const Feedback = ({ of }: { readonly of: DecisionEntry }) => {
  const [state, setState] = useState<{ readonly text: string; readonly isError: boolean } | null>(null)
  const [score, setScore] = useState(0.8)
  const learned = learnedOf(of)
  const [before, setBefore] = useState<number | null>(null)
  const give = async (body: Readonly<Record<string, unknown>>) => {
    setBefore(learnedOf(of)?.mean ?? null)
    try {
      await ask("/v1/feedback", { decision_id: of.id, source: "dashboard", ...body }, { "idempotency-key": uuid() })
      const { body: entry } = await ask<DecisionEntry>(`/v1/decisions/${of.id}`)
      keep([entry])
      setState({ text: "Stored, and learned from.", isError: false })
    } catch (error) {
      setState({ text: error instanceof Error ? error.message : "It did not arrive.", isError: true })
    }
  }
  return (
    <section aria-label="Feedback">
      <h3>Feedback</h3>
      {of.feedback.length === 0 ? (
        <Nothing>None yet.</Nothing>
      ) : (
        <ul class="feedback">
          {of.feedback.map((one) => (
            <li key={one.id} class={one.superseded_by === null ? "" : "out"}>
              <b>
                {one.kind.replace("_", " ")} {String(one.value)}
              </b>{" "}
              <span class="soft">
                confidence {one.confidence}, from {one.source}, {moment(one.created_at)}
                {one.superseded_by === null ? "" : ", replaced by a later one"}
              </span>
              {one.comment === null ? null : <span class="block">“{one.comment}”</span>}
            </li>
          ))}
        </ul>
      )}
      {of.outcome?.ok !== true ? (
        <p class="note">Only answers can be judged.</p>
      ) : !may("feedback") ? (
        <p class="note">
          This key may not judge answers: it lacks the scope <code>feedback</code>.
        </p>
      ) : (
        <div class="give">
          <button type="button" onClick={() => void give({ kind: "thumbs", value: "up" })}>
            Good answer
          </button>
          <button type="button" onClick={() => void give({ kind: "thumbs", value: "down" })}>
            Bad answer
          </button>
          <label>
            Score <output>{score.toFixed(2)}</output>
            <input
              type="range"
              min="0"
              max="1"
              step="0.05"
              value={score}
              onInput={(event) => setScore(Number(event.currentTarget.value))}
            />
          </label>
          <button type="button" onClick={() => void give({ kind: "score", value: score })}>
            Give this score
          </button>
        </div>
      )}
      <p class={state?.isError === true ? "error" : "note"} role="status" id="given">
        {state?.text ?? ""}
        {learned === null ? null : (
          <>
            {" "}
            Learned quality of {of.chosen}
            {of.request.task === null ? "" : ` for ${of.request.task}`}:{" "}
            <b id="learned" data-mean={learned.mean}>
              {learned.mean.toFixed(3)}
            </b>{" "}
            ({quality(learned.low)} to {quality(learned.high)})
            {before === null || before === learned.mean ? "" : `, before ${before.toFixed(3)}`}.
          </>
        )}
      </p>
    </section>
  )
}

const Facts = ({ of }: { readonly of: DecisionEntry }) => {
  const { outcome, request } = of
  const constraints = Object.entries(request.constraints)
  const facts: ReadonlyArray<readonly [string, string]> = [
    ["Task", request.task ?? "none named"],
    ["Preference", request.preference],
    ...(constraints.length === 0
      ? []
      : [["Constraints", constraints.map(([name, value]) => `${name} ${String(value)}`).join(", ")] as const]),
    ["Prompt", `about ${plural(request.input_tokens, "token")}${request.stream ? ", streamed" : ""}`],
    ...(request.session_id === null ? [] : [["Session", request.session_id] as const]),
    ...(request.user_id === null ? [] : [["User", request.user_id] as const]),
    ...(outcome === null
      ? []
      : ([
          ["Cost", `${usd(outcome.cost_usd)}${outcome.usage_estimated ? " (estimated)" : ""}`],
          [
            "Time",
            `${milliseconds(outcome.latency_ms)}${outcome.first_token_ms === null ? "" : `, first token ${milliseconds(outcome.first_token_ms)}`}`
          ],
          [
            "Tokens",
            `${outcome.input_tokens === null ? "?" : count(outcome.input_tokens)} in${(outcome.cached_tokens ?? 0) > 0 ? ` (${count(outcome.cached_tokens ?? 0)} from the cache)` : ""}, ${outcome.output_tokens === null ? "?" : count(outcome.output_tokens)} out`
          ],
          ...(outcome.served_model === null ? [] : [["Served by", outcome.served_model] as const]),
          ...(outcome.error === null ? [] : [["Error", outcome.error] as const])
        ] as const)),
    ...(of.reward === null ? [] : [["Reward", of.reward.toFixed(3)] as const]),
    ["Policy", `${of.policy.algorithm} ${of.policy.version}, with ${plural(of.policy.position, "commit")} learned from`]
  ]
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

const Attempts = ({ of }: { readonly of: DecisionEntry }) =>
  of.attempts.length === 0 ? null : (
    <section aria-label="Attempts">
      <h3>Attempts</h3>
      <ol class="attempts">
        {of.attempts.map((one, index) => (
          <li key={index}>
            <ModelName name={one.model} />{" "}
            {one.ok ? <Tag tone="good">answered</Tag> : <Tag tone="bad">{one.error ?? "failed"}</Tag>}{" "}
            <span class="soft">
              {one.status === null ? "" : `HTTP ${one.status}, `}
              {milliseconds(one.latency_ms)}
            </span>
          </li>
        ))}
      </ol>
    </section>
  )

const Body = ({ of }: { readonly of: DecisionEntry }) => {
  const first = of.attempts[0]?.model ?? of.chosen
  return (
    <>
      <p class="lead">
        {of.reason === "fallback" ? (
          <>
            <b>{first}</b> was chosen and did not answer; <b>{of.chosen}</b> answered instead.
          </>
        ) : (
          <>
            <b>{of.chosen}</b> was chosen: {reasons[of.reason] ?? of.reason}
          </>
        )}
        {of.reason === "fallback" ? "" : `, with a chance of ${chance(of.propensity)}.`} <Result of={of} />
      </p>
      <Candidates of={of} />
      <div class="columns">
        <section aria-label="Request and outcome">
          <h3>Request and outcome</h3>
          <Facts of={of} />
        </section>
        <div>
          <Attempts of={of} />
          <Feedback of={of} />
        </div>
      </div>
      <p class="note">
        <code>{of.id}</code>, {moment(of.created_at)}
      </p>
    </>
  )
}

/** The whole explanation of one decision. */
export const Explanation = () => {
  const dialog = useRef<HTMLDialogElement>(null)
  const id = opened.value
  useEffect(() => {
    if (id === null) dialog.current?.close()
    else if (dialog.current?.open === false) dialog.current.showModal()
  }, [id])
  const found = decisions.value?.find((one) => one.id === id)
  return (
    <dialog ref={dialog} aria-labelledby="why" onClose={() => (opened.value = null)}>
      <header>
        <h2 id="why">Why this model</h2>
        <button type="button" class="small" onClick={() => (opened.value = null)}>
          Close
        </button>
      </header>
      {found === undefined ? null : <Body key={found.id} of={found} />}
    </dialog>
  )
}
