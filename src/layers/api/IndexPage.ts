/** The front page: what this is, what to try, and the models as they are learned. It needs nothing but this service. */
export const indexPage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Conduit</title>
<link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --accent: #3b7dd8 }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 56rem; margin: 3rem auto; padding: 0 1.25rem }
h1 { font-size: 2rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem }
p.lead { font-size: 1.1rem; margin: .4rem 0 1rem }
nav a { margin-right: 1.2rem } a { color: var(--accent) }
pre { background: var(--soft); padding: .9rem 1rem; border-radius: 8px; overflow-x: auto; font-size: .85rem }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .45rem .6rem; border-bottom: 1px solid var(--line) }
th { font-weight: 600; font-size: .8rem; opacity: .75 }
.bar { display: inline-block; height: .6rem; min-width: 2px; border-radius: 3px; background: var(--accent); margin-right: .4rem }
.tag { font-size: .72rem; border: 1px solid var(--line); border-radius: 4px; padding: 0 .35rem; margin-left: .4rem }
input { font: inherit; padding: .2rem .5rem }
#note { opacity: .75; font-size: .9rem }
</style>
</head>
<body>
<h1>Conduit</h1>
<p class="lead">Chooses for every request which language model should answer it, calls that model, and learns from the
outcome which model suits which kind of request.</p>
<nav><a href="/docs">API</a><a href="/openapi.json">OpenAPI</a><a href="/v1/models">Models</a><a href="/v1/stats">Statistics</a><a href="/metrics">Metrics</a></nav>

<h2>Ask</h2>
<pre>curl -i <span class="origin"></span>/v1/chat/completions -H 'content-type: application/json' \\
  -d '{"model": "auto", "messages": [{"role": "user", "content": "What is 17 * 23?"}]}'</pre>
<p>Any OpenAI client works: point its base URL at <code><span class="origin"></span>/v1</code>. The headers say which model
answered (<code>x-conduit-model</code>), why, with what probability and at what cost.</p>

<h2>Judge the answer</h2>
<pre>curl <span class="origin"></span>/v1/feedback -H 'content-type: application/json' \\
  -d '{"decision_id": "<b>x-conduit-decision-id</b>", "kind": "thumbs", "value": "up"}'</pre>
<p>That is what quality is learned from. <code>GET /v1/decisions/<b>id</b></code> explains the choice.</p>

<h2>Models now</h2>
<table><thead><tr><th>model</th><th>share</th><th>quality</th><th>judged</th><th>USD per million tokens, in / out</th><th>circuit</th></tr></thead>
<tbody id="models"></tbody></table>
<p id="note"></p>

<script>
for (const e of document.querySelectorAll(".origin")) e.textContent = location.origin
const rows = document.getElementById("models"), note = document.getElementById("note")
let key = ""
const cell = (row, ...content) => { const td = document.createElement("td"); td.append(...content); row.append(td) }
const element = (name, className, text) => {
  const e = document.createElement(name); e.className = className; e.textContent = text; return e
}
const price = (usd) => usd === null ? "?" : String(usd)
const show = (model) => {
  const row = document.createElement("tr"), c = model.conduit
  cell(row, model.id, ...(c.simulated ? [element("span", "tag", "simulated")] : []),
    ...(c.available ? [] : [element("span", "tag", c.reason ?? "unavailable")]))
  const bar = element("span", "bar", ""); bar.style.width = (c.share * 6).toFixed(2) + "rem"
  cell(row, bar, (100 * c.share).toFixed(1) + " %")
  cell(row, c.quality.mean.toFixed(3) + " (" + c.quality.low.toFixed(2) + " to " + c.quality.high.toFixed(2) + ")")
  cell(row, String(Math.round(c.quality.observations)))
  cell(row, price(c.input_usd_per_mtok) + " / " + price(c.output_usd_per_mtok))
  cell(row, c.circuit)
  return row
}
const askForKey = () => {
  if (note.querySelector("input")) return
  const input = document.createElement("input")
  input.type = "password"; input.placeholder = "API key"; input.autocomplete = "off"
  input.onchange = () => { key = input.value; refresh() }
  note.replaceChildren("This service needs a key: ", input)
}
const refresh = async () => {
  try {
    const answer = await fetch("/v1/models", key ? { headers: { authorization: "Bearer " + key } } : {})
    if (answer.status === 401) return askForKey()
    if (!answer.ok) { note.textContent = "HTTP " + answer.status; return }
    const { data } = await answer.json()
    rows.replaceChildren(...data.filter((m) => m.id !== "auto").map(show))
    note.textContent = ""
  } catch { note.textContent = "The service does not answer." }
}
refresh()
setInterval(() => { if (!document.hidden) refresh() }, 2000)
</script>
</body>
</html>
`
