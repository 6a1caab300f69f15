import { stats } from "./Figures.ts"
import { milliseconds } from "./Format.ts"
import { colourName } from "./Palette.ts"
import { ModelName, Nothing, Panel } from "./Parts.tsx"

/** Of each model: how long whole answers took, and the first token of streams. */
export const Latency = () => {
  const timed = (stats.value?.by_model ?? []).filter((one) => one.latency_ms !== null)
  const longest = Math.max(1, ...timed.map((one) => one.latency_ms?.p95 ?? 0))
  return (
    <Panel
      id="latency"
      title="Time to answer"
      about="The bar reaches the median, its paler end what 95 of 100 answers stay within."
    >
      {timed.length === 0 ? (
        <Nothing>No answer in this time.</Nothing>
      ) : (
        <ul class="bars">
          {timed.map((one) => (
            <li key={one.model}>
              <span class="what">
                <ModelName name={one.model} />
              </span>
              <span class="amount">{milliseconds(one.latency_ms?.p50)}</span>
              <span class="bar" aria-hidden="true">
                <i
                  class="pale"
                  style={{
                    width: `${(100 * (one.latency_ms?.p95 ?? 0)) / longest}%`,
                    background: `var(${colourName(one.model)})`
                  }}
                />
                <i
                  style={{
                    width: `${(100 * (one.latency_ms?.p50 ?? 0)) / longest}%`,
                    background: `var(${colourName(one.model)})`
                  }}
                />
              </span>
              <span class="soft">
                95 % within {milliseconds(one.latency_ms?.p95)}
                {one.first_token_ms === null
                  ? "; nothing streamed"
                  : `; first token of streams ${milliseconds(one.first_token_ms.p50)}`}
              </span>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  )
}
