/** A line of a chart, by points in the units of its axes. */
export interface Series {
  readonly name: string
  readonly points: ReadonlyArray<readonly [x: number, y: number]>
  readonly isDashed?: boolean
}

const width = 720
const height = 340
const margin = { left: 48, right: 150, top: 34, bottom: 36 }
/** Told apart also by those who see fewer colours; Okabe and Ito, Color universal design (2008). */
const colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31"]

const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

/** Round steps, four to eight of them. */
const ticks = (low: number, high: number): ReadonlyArray<number> => {
  const rough = (high - low) / 5
  const magnitude = 10 ** Math.floor(Math.log10(Math.max(rough, 1e-9)))
  const step = magnitude * ([1, 2, 5, 10].find((times) => times * magnitude >= rough) ?? 10)
  const first = Math.ceil(low / step)
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step)
}

/** An SVG of its own: no script, no font, no file beside it. */
export const chart = (options: {
  readonly title: string
  readonly xLabel: string
  readonly series: ReadonlyArray<Series>
  readonly yRange: readonly [low: number, high: number]
}): string => {
  const { series, title, xLabel, yRange } = options
  const [low, high] = yRange
  const right = Math.max(1, ...series.flatMap(({ points }) => points.map(([x]) => x)))
  const x = (value: number) => margin.left + (value / right) * (width - margin.left - margin.right)
  const y = (value: number) =>
    margin.top + ((high - Math.min(high, Math.max(low, value))) / (high - low)) * (height - margin.top - margin.bottom)
  const grid = ticks(low, high).map(
    (value) =>
      `<line x1="${margin.left}" x2="${width - margin.right}" y1="${y(value).toFixed(1)}" y2="${y(value).toFixed(1)}" stroke="#ddd"/><text x="${margin.left - 6}" y="${(y(value) + 4).toFixed(1)}" text-anchor="end">${Number(value.toFixed(6))}</text>`
  )
  const below = ticks(0, right).map(
    (value) =>
      `<text x="${x(value).toFixed(1)}" y="${height - margin.bottom + 16}" text-anchor="middle">${value.toLocaleString("en")}</text>`
  )
  const lines = series.map(({ isDashed, points }, i) => {
    const path = points.map(([px, py]) => `${x(px).toFixed(1)},${y(py).toFixed(1)}`).join(" ")
    return `<polyline points="${path}" fill="none" stroke="${colours[i % colours.length]}" stroke-width="2"${isDashed === true ? ' stroke-dasharray="5 4"' : ""}/>`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="11" fill="#333" role="img" aria-label="${escaped(title)}">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${margin.left}" y="18" font-size="13" font-weight="600">${escaped(title)}</text>`,
    ...grid,
    ...below,
    `<text x="${(margin.left + width - margin.right) / 2}" y="${height - 4}" text-anchor="middle">${escaped(xLabel)}</text>`,
    ...lines,
    ...legend(series, y),
    "</svg>"
  ].join("\n")
}

const lineHeight = 14

/** Each name beside the end of its line, and none over another. */
const legend = (series: ReadonlyArray<Series>, y: (value: number) => number): ReadonlyArray<string> => {
  const wanted = series
    .map(({ name, points }, i) => ({
      name,
      colour: colours[i % colours.length] ?? "#000",
      at: y(points.at(-1)?.[1] ?? 0)
    }))
    .sort((a, b) => a.at - b.at)
  const most = height - margin.bottom
  let last = margin.top - lineHeight
  const placed = wanted.map((one) => {
    last = Math.max(one.at, last + lineHeight)
    return { ...one, at: last }
  })
  const over = Math.max(0, last - most)
  return placed.map(
    ({ at, colour, name }) =>
      `<text x="${width - margin.right + 6}" y="${(at - over + 4).toFixed(1)}" fill="${colour}">${escaped(name)}</text>`
  )
}
