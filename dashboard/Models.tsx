import { stats } from "./Figures.ts"
import { count, percent, plural, quality } from "./Format.ts"
import { models } from "./Live.ts"
import { Interval, ModelName, Nothing, Panel, Tag } from "./Parts.tsx"

const circuits = { closed: null, open: "paused: it failed", half_open: "being tried again" } as const
const directions = { down: "got worse", up: "got better", back: "back to normal" } as const

const price = (usdPerMTok: number | null) => (usdPerMTok === null ? "?" : `$${usdPerMTok}`)

/** What is known of each model, and how it does. */
export const Models = () => (
  <Panel
    id="models"
    wide
    title="Models"
    about="What is learned of each, for requests without a task, with its 90 % interval; and how its calls went in this time."
  >
    {models.value.length === 0 ? (
      <Nothing>No models.</Nothing>
    ) : (
      <div class="scroll" role="region" aria-label="Models" tabIndex={0}>
        <table class="plain cards">
          <thead>
            <tr>
              <th scope="col">Model</th>
              <th scope="col">Learned quality</th>
              <th scope="col">Judged</th>
              <th scope="col">Share lately</th>
              <th scope="col">Price per million tokens</th>
              <th scope="col">In this time</th>
            </tr>
          </thead>
          <tbody>
            {models.value.map(({ conduit, id }) => {
              const figures = stats.value?.by_model.find(({ model }) => model === id)
              const circuit = circuits[conduit.circuit ?? "closed"]
              const troubles = [
                ...(figures === undefined || figures.failed === 0 ? [] : [`${count(figures.failed)} failed`]),
                ...(figures === undefined || figures.refused === 0 ? [] : [`${count(figures.refused)} refused`]),
                ...(figures === undefined || figures.empty === 0 ? [] : [`${count(figures.empty)} empty`]),
                ...(figures === undefined || figures.aborted === 0 ? [] : [`${count(figures.aborted)} cut off`]),
                ...(figures === undefined || figures.fallbacks === 0
                  ? []
                  : [`${count(figures.fallbacks)} in place of another`])
              ]
              return (
                <tr key={id} data-model={id}>
                  <th scope="row">
                    <ModelName name={id} />
                    <span class="tags">
                      {conduit.simulated ? <Tag>simulated</Tag> : null}
                      {conduit.available ? null : <Tag tone="bad">{conduit.reason ?? "not available"}</Tag>}
                      {circuit === null ? null : <Tag tone="warn">{circuit}</Tag>}
                      {conduit.retirement === null ? null : <Tag tone="warn">{conduit.retirement.state}</Tag>}
                      {conduit.changed === null || conduit.changed.direction === "back" ? null : (
                        <Tag tone={conduit.changed.direction === "up" ? "good" : "warn"}>
                          {directions[conduit.changed.direction]}
                        </Tag>
                      )}
                    </span>
                  </th>
                  <td data-label="Learned quality">
                    {conduit.quality === null ? (
                      "–"
                    ) : (
                      <>
                        <b data-mean={conduit.quality.mean}>{quality(conduit.quality.mean)}</b>{" "}
                        <span class="soft">
                          {quality(conduit.quality.low)} to {quality(conduit.quality.high)}
                        </span>
                        <Interval {...conduit.quality} model={id} />
                      </>
                    )}
                  </td>
                  <td data-label="Judged">{count(conduit.quality?.observations ?? 0)}</td>
                  <td data-label="Share lately">{percent(conduit.share)}</td>
                  <td data-label="Price per million tokens">
                    {price(conduit.input_usd_per_mtok)} in, {price(conduit.output_usd_per_mtok)} out
                  </td>
                  <td data-label="In this time">
                    {plural(figures?.requests ?? 0, "request")}
                    <span class="soft block">{troubles.length === 0 ? "no trouble" : troubles.join(", ")}</span>
                  </td>
                </tr>
              )
            })}
          </tbody>
        </table>
      </div>
    )}
    <Errors />
  </Panel>
)

const Errors = () => {
  const errors = stats.value?.errors ?? []
  if (errors.length === 0) return null
  return (
    <details>
      <summary>
        What went wrong:{" "}
        {plural(
          errors.reduce((sum, one) => sum + one.count, 0),
          "request"
        )}
      </summary>
      <ul class="errors">
        {errors.map((error) => (
          <li key={`${error.model} ${error.reason}`}>
            <ModelName name={error.model} /> <code>{error.reason ?? "no reason given"}</code>{" "}
            <b>{count(error.count)}</b>
          </li>
        ))}
      </ul>
    </details>
  )
}
