/**
 * The page that shows an inspection in a browser: one document, no other files. Everything that a peer sent is inserted as text.
 */

const style = `
:root { color-scheme: light dark; --line: #8883; --client: #0969da; --server: #8250df; --bad: #cf222e; --dim: #6e7781 }
@media (prefers-color-scheme: dark) { :root { --client: #58a6ff; --server: #bc8cff; --bad: #f85149; --dim: #8b949e } }
* { box-sizing: border-box }
html, body { height: 100%; margin: 0 }
body { font: 14px/1.45 system-ui, sans-serif; display: grid; grid-template-rows: auto 1fr }
header { display: flex; gap: .8rem; align-items: center; padding: .5rem .8rem; border-bottom: 1px solid var(--line); flex-wrap: wrap }
header strong { margin-right: auto }
input, select, button { font: inherit; padding: .15rem .5rem }
main { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); min-height: 0 }
#list { overflow: auto; border-right: 1px solid var(--line) }
table { border-collapse: collapse; width: 100%; font: 12px/1.5 ui-monospace, monospace }
td { padding: .1rem .5rem; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; max-width: 28rem; border-bottom: 1px solid var(--line) }
td:nth-child(4) { max-width: 16rem } td:last-child { width: 100%; max-width: 1px }
td.number { text-align: right; color: var(--dim) }
tr { cursor: default } tr.on { background: #58a6ff33 } tr.bad td { color: var(--bad) }
.client { color: var(--client) } .server { color: var(--server) } .bad { color: var(--bad) } .dim { color: var(--dim) }
aside { overflow: auto; padding: .8rem }
pre { font: 12px/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; margin: .5rem 0 }
dl { display: grid; grid-template-columns: auto 1fr; gap: .1rem .8rem; margin: 0 } dt { color: var(--dim) } dd { margin: 0; overflow-wrap: anywhere }
@media (max-width: 50rem) { main { grid-template-columns: 1fr; grid-template-rows: 3fr 2fr } }
`

const script = `
const most = 5000
const $ = (id) => document.getElementById(id)
const rows = $("rows"), list = $("list"), filter = $("filter"), connection = $("connection"), only = $("only")
let items = [], chosen

const el = (name, text, className) => {
  const made = document.createElement(name)
  if (text !== undefined) made.textContent = text
  if (className) made.className = className
  return made
}
const octets = (base64) => Array.from(atob(base64), (char) => char.charCodeAt(0))
const two = (octet) => octet.toString(16).padStart(2, "0")
const hex = (base64) => {
  const all = octets(base64)
  const lines = []
  for (let from = 0; from < all.length; from += 16) {
    const line = all.slice(from, from + 16)
    lines.push(from.toString(16).padStart(8, "0") + "  " + line.map(two).join(" ").padEnd(49) +
      line.map((o) => o >= 32 && o < 127 ? String.fromCharCode(o) : ".").join(""))
  }
  return lines.join("\\n")
}
const pretty = (text) => {
  if (!/^\\s*[{[]/.test(text)) return text
  // JSON.parse would change numbers that JavaScript cannot represent.
  try { const laid = JSON.stringify(JSON.parse(text), null, 2); return /\\d{16}/.test(text) ? text : laid } catch { return text }
}
const fits = (item) => {
  if (connection.value !== "" && String(item.connection) !== connection.value) return false
  if (only.checked && item.broken.length === 0) return false
  const wanted = filter.value.toLowerCase()
  return wanted === "" || (item.title + " " + (item.text ?? "")).toLowerCase().includes(wanted)
}
const row = (item) => {
  const made = el("tr", undefined, item.broken.length > 0 ? "bad" : "")
  made.append(
    el("td", "#" + item.connection, "number"),
    el("td", (item.at / 1000).toFixed(3), "number"),
    el("td", item.from === "client" ? "→" : "←", item.from),
    el("td", item.title),
    el("td", item.flags ?? "", "dim"),
    el("td", item.size ?? "", "number"),
    el("td", item.text?.slice(0, 200) ?? (item.base64 === undefined ? "" : octets(item.base64).slice(0, 24).map(two).join(" ")))
  )
  made.onclick = () => choose(item)
  item.row = made
  made.hidden = !fits(item)
  return made
}
const choose = (item) => {
  chosen?.row?.classList.remove("on")
  chosen = item
  item.row.classList.add("on")
  const aside = $("detail")
  aside.replaceChildren()
  const facts = el("dl")
  const fact = (name, value) => { if (value !== undefined && value !== "") facts.append(el("dt", name), el("dd", value)) }
  fact("connection", "#" + item.connection)
  fact("time", (item.at / 1000).toFixed(6) + " s")
  fact("from", item.from)
  fact("what", item.title)
  fact("flags", item.flags)
  fact("payload", item.size)
  fact("message", item.message)
  aside.append(facts)
  for (const fault of item.broken) {
    aside.append(el("p", "✗ " + fault.detail + " (" + fault.rule + (fault.section ? ", " + fault.section : "") + ")", "bad"))
  }
  if (item.headers) {
    const headers = el("dl")
    for (const [name, value] of item.headers) headers.append(el("dt", name), el("dd", value))
    aside.append(headers)
  }
  if (item.base64 !== undefined) aside.append(el("pre", hex(item.base64)))
  else if (item.text) aside.append(el("pre", pretty(item.text)))
  if (item.cut) aside.append(el("p", item.cut, "dim"))
}
const add = (item) => {
  const isAtEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 40
  items.push(item)
  rows.append(row(item))
  if (items.length > most) items.shift().row.remove()
  if (![...connection.options].some(({ value }) => value === String(item.connection))) {
    const option = el("option", "#" + item.connection)
    option.value = String(item.connection)
    connection.append(option)
  }
  if (isAtEnd) list.scrollTop = list.scrollHeight
}
const refresh = () => { for (const item of items) item.row.hidden = !fits(item) }
filter.oninput = connection.onchange = only.onchange = refresh
$("clear").onclick = () => { items = []; rows.replaceChildren(); $("detail").replaceChildren() }
document.onkeydown = (event) => {
  if (event.target.tagName === "INPUT" || (event.key !== "ArrowDown" && event.key !== "ArrowUp")) return
  const shown = items.filter((item) => !item.row.hidden)
  const next = shown[shown.indexOf(chosen) + (event.key === "ArrowDown" ? 1 : -1)]
  if (next) { choose(next); next.row.scrollIntoView({ block: "nearest" }); event.preventDefault() }
}
const socket = new WebSocket(location.href.replace(/^http/, "ws").replace(/[?]/, "live?"))
socket.onopen = () => { $("state").textContent = "live" }
socket.onmessage = ({ data }) => { for (const item of JSON.parse(data)) add(item) }
socket.onclose = () => { $("state").textContent = "ended" }
`

const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("\"", "&quot;")

export const page = (target: string): string =>
  `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>effect-ws inspect</title>
<style>${style}</style>
</head>
<body>
<header>
<strong>${escape(target)}</strong> <span id="state" class="dim">connecting</span>
<select id="connection"><option value="">all connections</option></select>
<label><input type="checkbox" id="only"> broken rules only</label>
<input id="filter" type="search" placeholder="filter">
<button id="clear">clear</button>
</header>
<main>
<div id="list"><table><tbody id="rows"></tbody></table></div>
<aside id="detail"><p class="dim">Choose a line; the arrow keys move to the next one.</p></aside>
</main>
<script>${script}</script>
</body>
</html>
`
