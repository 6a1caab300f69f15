import type { ComponentChildren } from "preact"
import { savings, stats } from "./Figures.ts"
import { count, milliseconds, percent, plural, quality, range, usd } from "./Format.ts"
import { Estimated } from "./Money.tsx"

const Tile = (props: {
  readonly id: string
  readonly label: string
  readonly value: string
  readonly children?: ComponentChildren
}) => (
  <div class="tile">
    <dt>{props.label}</dt>
    <dd class="value" id={`tile-${props.id}`}>
      {props.value}
    </dd>
    <dd class="soft">{props.children}</dd>
  </div>
)

/** The figures that matter most, of all models and tasks together. */
export const Tiles = () => {
  const totals = stats.value?.totals
  if (totals === undefined) return null
  const trouble = totals.failed + totals.aborted + totals.refused + totals.empty
  const dearest = savings.value?.against_dearest
  return (
    <dl class="tiles">
      <Tile id="requests" label="Requests" value={count(totals.requests)}>
        {trouble === 0 ? "all answered" : `${percent(totals.answered / Math.max(1, totals.requests), 1)} answered`}
        {totals.pending > 0 ? `, ${count(totals.pending)} decided only` : ""}
      </Tile>
      <Tile id="cost" label="Spent" value={usd(totals.cost_usd)}>
        {usd(totals.cost_known === 0 ? null : (1000 * totals.cost_usd) / totals.cost_known)} per 1,000 requests
      </Tile>
      <Tile
        id="saved"
        label="Saved (estimate)"
        value={usd(dearest === undefined ? null : (dearest.saved_usd.value ?? dearest.predicted_saved_usd))}
      >
        {dearest?.model === undefined || dearest.model === null ? (
          "against always the dearest model"
        ) : (
          <Estimated of={dearest}>against always {dearest.model}</Estimated>
        )}
      </Tile>
      <Tile id="quality" label="Quality" value={quality(totals.quality?.mean)}>
        {totals.quality === null ? "no answer is judged yet" : range(totals.quality.low, totals.quality.high)}
      </Tile>
      <Tile id="judged" label="Judged" value={percent(totals.feedback_coverage?.value)}>
        {plural(totals.judged, "answer")} with feedback
      </Tile>
      <Tile id="latency" label="Time to answer" value={milliseconds(totals.latency_ms?.p50)}>
        half are faster; 95 % within {milliseconds(totals.latency_ms?.p95)}
      </Tile>
    </dl>
  )
}
