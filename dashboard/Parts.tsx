import type { ComponentChildren } from "preact"
import { colourName } from "./Palette.ts"

/** A part of the page with its heading, and in one sentence what it shows. */
export const Panel = (props: {
  readonly id: string
  readonly title: string
  readonly about?: ComponentChildren
  readonly wide?: boolean
  readonly children: ComponentChildren
}) => (
  <section class={props.wide === true ? "panel wide" : "panel"} aria-labelledby={`${props.id}-title`} id={props.id}>
    <header>
      <h2 id={`${props.id}-title`}>{props.title}</h2>
      {props.about === undefined ? null : <p>{props.about}</p>}
    </header>
    {props.children}
  </section>
)

/** The colour of a model beside its name. */
export const ModelName = ({ name }: { readonly name: string }) => (
  <span class="model">
    <i class="swatch" style={{ background: `var(${colourName(name)})` }} aria-hidden="true" />
    {name}
  </span>
)

export const Tag = (props: { readonly tone?: "good" | "warn" | "bad"; readonly children: ComponentChildren }) => (
  <span class={`tag ${props.tone ?? ""}`}>{props.children}</span>
)

export const Nothing = ({ children }: { readonly children: ComponentChildren }) => <p class="nothing">{children}</p>

/** An interval in [0, 1] with its mean, drawn. */
export const Interval = (props: {
  readonly mean: number
  readonly low: number | null
  readonly high: number | null
  readonly model: string
}) => {
  const low = Math.max(0, props.low ?? props.mean)
  const high = Math.min(1, props.high ?? props.mean)
  return (
    <svg class="interval" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
      <rect class="track" x="0" y="3.4" width="100" height="1.2" />
      <rect
        x={100 * low}
        y="2.6"
        width={Math.max(0.6, 100 * (high - low))}
        height="2.8"
        style={{ fill: `var(${colourName(props.model)})`, opacity: 0.4 }}
      />
      <rect
        x={100 * props.mean - 0.7}
        y="0.6"
        width="1.4"
        height="6.8"
        style={{ fill: `var(${colourName(props.model)})` }}
      />
    </svg>
  )
}
