import type { ComponentChildren } from "preact"
import type { StatsAnswer } from "../src/services/api/StatsResponse.ts"
import { savings, stats } from "./Figures.ts"
import { percent, plural, usd } from "./Format.ts"
import { decisions } from "./Live.ts"
import { colourName } from "./Palette.ts"
import { ModelName, Nothing, Panel } from "./Parts.tsx"

type Comparison = NonNullable<StatsAnswer["savings"]>["against_best"]

const savedUsd = ({ predicted_saved_usd: predicted, saved_usd: saved }: Comparison) => saved.value ?? predicted

/** What a comparison rests on, in words; the reason why there is no interval is on the title. */
export const Estimated = ({ children, of }: { readonly of: Comparison; readonly children: ComponentChildren }) => {
  const { high, low, reason, value } = of.saved_usd
  if (value === null) return <span title={reason ?? ""}>{children}, by predicted costs</span>
  return (
    <span>
      {children}
      {low === null || high === null ? null : `: ${usd(low)} to ${usd(high)}`}
    </span>
  )
}

const Bar = (props: {
  readonly label: ComponentChildren
  readonly value: number
  readonly most: number
  readonly model: string | null
  readonly children?: ComponentChildren
}) => (
  <li>
    <span class="what">{props.label}</span>
    <span class="amount">{usd(props.value)}</span>
    <span class="bar" aria-hidden="true">
      <i
        style={{
          width: `${props.most <= 0 ? 0 : 100 * Math.max(0, props.value / props.most)}%`,
          background: props.model === null ? "var(--accent)" : `var(${colourName(props.model)})`
        }}
      />
    </span>
    <span class="soft">{props.children}</span>
  </li>
)

const Alternative = ({
  most,
  of,
  spent,
  what
}: {
  readonly of: Comparison
  readonly spent: number
  readonly most: number
  readonly what: string
}) => {
  const saved = savedUsd(of)
  if (of.model === null || saved === null) return null
  const gain = of.quality_gain
  return (
    <Bar
      label={
        <>
          {what}: <ModelName name={of.model} />
        </>
      }
      value={spent + saved}
      most={most}
      model={of.model}
    >
      <Estimated of={of}>estimate: {saved >= 0 ? `${usd(saved)} more` : `${usd(-saved)} less`}</Estimated>
      {gain.value === null
        ? null
        : `; quality here is ${Math.abs(gain.value).toFixed(3)} ${gain.value >= 0 ? "better" : "worse"} than that would be`}
    </Bar>
  )
}

/** Of the newest answers, what providers read from their caches. */
const cacheShare = () => {
  let [input, cached, answers] = [0, 0, 0]
  for (const { outcome } of decisions.value ?? []) {
    if (outcome?.input_tokens === null || outcome?.input_tokens === undefined) continue
    answers++
    input += outcome.input_tokens
    cached += outcome.cached_tokens ?? 0
  }
  return { answers, share: input === 0 ? null : cached / input }
}

export const Money = () => {
  const totals = stats.value?.totals
  const found = savings.value
  const about = "What was spent, and what sending everything to one model would have cost instead."
  if (totals === undefined || totals.cost_known === 0) {
    return (
      <Panel id="money" title="Money" about={about}>
        <Nothing>No request with a known cost in this time.</Nothing>
      </Panel>
    )
  }
  const spent = totals.cost_usd
  const others = found === null ? [] : [found.against_dearest, found.against_best]
  const most = Math.max(spent, ...others.map((one) => spent + (savedUsd(one) ?? 0)))
  const isSame = found !== null && found.against_best.model === found.against_dearest.model
  const isGuess = found !== null && found.against_best.quality_gain.value === null && found.unknown.length > 0
  const cache = cacheShare()
  return (
    <Panel id="money" title="Money" about={about}>
      <ul class="bars">
        <Bar label="Spent" value={spent} most={most} model={null}>
          {plural(totals.cost_known, "request")} with a known cost
        </Bar>
        {found === null ? null : (
          <>
            <Alternative
              of={found.against_dearest}
              spent={spent}
              most={most}
              what={isSame ? "Always the best, also the dearest" : "Always the dearest"}
            />
            {isSame ? null : <Alternative of={found.against_best} spent={spent} most={most} what="Always the best" />}
          </>
        )}
      </ul>
      {isGuess && found !== null ? (
        <p class="note" title={found.against_best.quality_gain.reason ?? ""}>
          Which model is best is only predicted yet: too few answers of {found.unknown.join(", ")} are judged.
        </p>
      ) : null}
      <p class="note">
        Read from providers’ caches: <b>{percent(cache.share, 1)}</b> of the input tokens of the newest{" "}
        {plural(cache.answers, "answer")}.
      </p>
    </Panel>
  )
}
