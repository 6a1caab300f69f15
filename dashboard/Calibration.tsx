import { combine } from "../src/domain/learning/Feedback.ts"
import type { DecisionEntry } from "../src/services/api/Responses.ts"
import { plural, quality } from "./Format.ts"
import { decisions } from "./Live.ts"
import { Nothing, Panel } from "./Parts.tsx"

/** All judgements that count on a decision as one quality; null if there is none. */
export const judgedQuality = ({ feedback }: DecisionEntry): number | null =>
  combine(
    feedback
      .filter((one) => one.superseded_by === null)
      .flatMap(({ confidence, kind, value }) => (isKind(kind) ? [{ kind, value, confidence }] : []))
  )?.quality ?? null

const kinds = ["score", "thumbs", "rating", "task_success", "regeneration", "comment"] as const
const isKind = (kind: string): kind is (typeof kinds)[number] => kinds.some((one) => one === kind)

interface Bin {
  readonly predicted: number
  readonly seen: number
  readonly half: number | null
  readonly count: number
}

const bins = 8

/** Equally many answers in each bin. */
const binned = (pairs: ReadonlyArray<readonly [predicted: number, seen: number]>): ReadonlyArray<Bin> => {
  const sorted = [...pairs].sort(([a], [b]) => a - b)
  const size = Math.max(5, Math.ceil(sorted.length / bins))
  return Array.from({ length: Math.ceil(sorted.length / size) }, (_, i) => sorted.slice(i * size, (i + 1) * size)).map(
    (bin) => {
      const mean = (of: 0 | 1) => bin.reduce((sum, pair) => sum + pair[of], 0) / bin.length
      const seen = mean(1)
      const variance = bin.reduce((sum, [, value]) => sum + (value - seen) ** 2, 0) / Math.max(1, bin.length - 1)
      const half = bin.length < 4 ? null : 1.96 * Math.sqrt(variance / bin.length)
      return { predicted: mean(0), seen, half, count: bin.length }
    }
  )
}

const x = (value: number) => 34 + 258 * value
const y = (value: number) => 204 - 196 * Math.min(1, Math.max(0, value))

/** The slice that is drawn among all models alike, beside what was chosen by score. */
const Control = () => {
  const judged = (isControl: boolean) =>
    (decisions.value ?? []).flatMap((one) => {
      const seen = judgedQuality(one)
      return seen === null || (one.reason === "control") !== isControl ? [] : [seen]
    })
  const [drawn, others] = [judged(true), judged(false)]
  if (drawn.length === 0) return null
  const mean = (values: ReadonlyArray<number>) =>
    quality(values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length)
  return (
    <p class="note">
      To compare, {plural(drawn.length, "judged answer")} came of models drawn by chance alone: <b>{mean(drawn)}</b> on
      average, the others <b>{mean(others)}</b>.
    </p>
  )
}

export const Calibration = () => {
  const pairs = (decisions.value ?? []).flatMap((one): ReadonlyArray<readonly [number, number]> => {
    const seen = judgedQuality(one)
    const expected = one.candidates.find(({ model }) => model === one.chosen)?.quality
    return seen === null || expected === undefined || one.outcome?.ok !== true ? [] : [[expected, seen]]
  })
  const points = binned(pairs)
  const average = (of: 0 | 1) => pairs.reduce((sum, pair) => sum + pair[of], 0) / pairs.length
  const label = `${plural(pairs.length, "judged answer")}: ${quality(average(0))} predicted on average, ${quality(average(1))} seen.`
  return (
    <Panel
      id="calibration"
      title="Predicted against seen"
      about="Quality that was predicted when deciding, and how the answers were judged. On the line predictions are right."
    >
      {pairs.length < 5 ? (
        <Nothing>Needs at least 5 judged answers among the newest {(decisions.value ?? []).length || "ones"}.</Nothing>
      ) : (
        <>
          <svg class="calibration" viewBox="0 0 300 232" role="img" aria-label={label}>
            {[0, 0.25, 0.5, 0.75, 1].map((tick) => (
              <g key={tick}>
                <line class="grid" x1={x(0)} x2={x(1)} y1={y(tick)} y2={y(tick)} />
                <text x={x(0) - 6} y={y(tick) + 3} text-anchor="end">
                  {tick}
                </text>
                <text x={x(tick)} y={y(0) + 14} text-anchor="middle">
                  {tick}
                </text>
              </g>
            ))}
            <line class="diagonal" x1={x(0)} y1={y(0)} x2={x(1)} y2={y(1)} />
            {points.map(({ count, half, predicted, seen }) => (
              <g key={predicted}>
                {half === null ? null : (
                  <line class="whisker" x1={x(predicted)} x2={x(predicted)} y1={y(seen - half)} y2={y(seen + half)} />
                )}
                <circle cx={x(predicted)} cy={y(seen)} r="4">
                  <title>
                    {plural(count, "answer")}: {quality(predicted)} predicted, {quality(seen)} seen
                  </title>
                </circle>
              </g>
            ))}
            <text x={x(0.5)} y="230" text-anchor="middle">
              predicted
            </text>
            <text class="upright" x="8" y={y(0.5)} text-anchor="middle" transform={`rotate(-90 8 ${y(0.5)})`}>
              seen
            </text>
          </svg>
          <p class="note">{label}</p>
          <Control />
        </>
      )}
    </Panel>
  )
}
