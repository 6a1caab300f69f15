import { useEffect, useRef } from "preact/hooks"
import uPlot from "uplot"
import { resolved } from "./Palette.ts"

export interface Line {
  readonly label: string
  /** Name of the style's variable. */
  readonly colour: string
  readonly values: ReadonlyArray<number | null>
  /** What it may be as well, drawn paler. */
  readonly low?: ReadonlyArray<number | null>
  readonly high?: ReadonlyArray<number | null>
}

export interface Mark {
  readonly atSeconds: number
  readonly label: string
}

const height = 220

const rgba = (colour: string, alpha: number) => `color-mix(in srgb, ${colour} ${100 * alpha}%, transparent)`

const axes = (soft: string, line: string, percent: boolean): Array<uPlot.Axis> => [
  {
    stroke: soft,
    grid: { show: false },
    ticks: { stroke: line, width: 1, size: 4 },
    font: "11px system-ui, sans-serif",
    space: 76,
    values: [
      [86_400, "{D} {MMM}", null, null, null, null, null, null, 1],
      [3_600, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
      [60, "{HH}:{mm}", null, null, null, null, null, null, 1],
      [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1]
    ]
  },
  {
    stroke: soft,
    grid: { stroke: line, width: 1 },
    ticks: { show: false },
    font: "11px system-ui, sans-serif",
    size: 44,
    values: (_, ticks) => ticks.map((tick) => (percent ? `${Math.round(100 * tick)} %` : tick.toFixed(2)))
  }
]

const optionsOf = (props: ChartProps, width: number): { options: uPlot.Options; data: uPlot.AlignedData } => {
  const soft = resolved("--soft-text")
  const line = resolved("--line")
  const ink = resolved("--text")
  const stepped = uPlot.paths.stepped?.({ align: 1 })
  const series: Array<uPlot.Series> = [{}]
  const data: Array<ReadonlyArray<number | null>> = [props.times]
  const bands: Array<uPlot.Band> = []
  for (const one of props.lines) {
    const colour = resolved(one.colour)
    const base = { label: one.label, points: { show: false }, spanGaps: !props.stacked }
    series.push({
      ...base,
      stroke: props.stacked ? resolved("--panel") : colour,
      width: props.stacked ? 1 : 2,
      ...(props.stacked ? { fill: colour, ...(stepped === undefined ? {} : { paths: stepped }) } : {})
    })
    data.push(one.values)
    if (one.low !== undefined && one.high !== undefined) {
      bands.push({ series: [series.length, series.length + 1], fill: rgba(colour, 0.16) })
      series.push({ ...base, width: 0 }, { ...base, width: 0 })
      data.push(one.high, one.low)
    }
  }
  const drawMarks = (chart: uPlot) => {
    const { ctx } = chart
    ctx.save()
    ctx.strokeStyle = ink
    ctx.fillStyle = ink
    ctx.setLineDash([4, 3])
    for (const { atSeconds } of props.marks) {
      const x = Math.round(chart.valToPos(atSeconds, "x", true))
      if (x < chart.bbox.left || x > chart.bbox.left + chart.bbox.width) continue
      ctx.beginPath()
      ctx.moveTo(x, chart.bbox.top)
      ctx.lineTo(x, chart.bbox.top + chart.bbox.height)
      ctx.stroke()
      ctx.beginPath()
      ctx.arc(x, chart.bbox.top, 4 * devicePixelRatio, 0, 2 * Math.PI)
      ctx.fill()
    }
    ctx.restore()
  }
  const options: uPlot.Options = {
    width,
    height,
    padding: [10, 8, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: true, range: [props.from, props.until] }, y: { range: () => [...props.range] } },
    axes: axes(soft, line, props.percent),
    series,
    bands,
    hooks: { draw: [drawMarks] }
  }
  // The types want arrays that may be changed; they are not.
  return { options, data: data.map((column) => Array.from(column)) as uPlot.AlignedData }
}

export interface ChartProps {
  /** What it shows, for who does not see it. */
  readonly label: string
  /** Unix seconds, ascending. */
  readonly times: ReadonlyArray<number>
  readonly from: number
  readonly until: number
  /** The first ones are drawn first. */
  readonly lines: ReadonlyArray<Line>
  readonly marks: ReadonlyArray<Mark>
  readonly range: readonly [low: number, high: number]
  readonly percent: boolean
  readonly stacked: boolean
}

/** Lines over time. It is drawn anew when its numbers, its width or the theme change. */
export const Chart = (props: ChartProps) => {
  const place = useRef<HTMLDivElement>(null)
  const latest = useRef(props)
  latest.current = props
  const draw = useRef(() => {})
  useEffect(() => {
    const element = place.current
    if (element === null) return
    let chart: uPlot | null = null
    draw.current = () => {
      chart?.destroy()
      const { data, options } = optionsOf(latest.current, element.clientWidth)
      chart = new uPlot(options, data, element)
    }
    const observer = new ResizeObserver(() => {
      if (chart === null || chart.width !== element.clientWidth) draw.current()
    })
    observer.observe(element)
    const theme = matchMedia("(prefers-color-scheme: dark)")
    const redraw = () => draw.current()
    theme.addEventListener("change", redraw)
    return () => {
      observer.disconnect()
      theme.removeEventListener("change", redraw)
      chart?.destroy()
    }
  }, [])
  useEffect(() => draw.current(), [JSON.stringify(props)])
  return <div class="chart" ref={place} role="img" aria-label={props.label} style={{ height: `${height}px` }} />
}
