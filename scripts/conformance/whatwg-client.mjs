// An echo client of whatever `WebSocket` its runtime has: Node's package undici, Bun, Deno. It speaks the language of
// Autobahn's fuzzing server. Arguments: the server's URL, and `undici` for that package in place of the global.
const [url, from] = (globalThis.Deno?.args ?? process.argv.slice(2))
const WebSocket = from === "undici" ? (await import("undici")).WebSocket : globalThis.WebSocket

/** @param {string} path */
const ask = (path) =>
  new Promise((resolve) => {
    const socket = new WebSocket(url + path)
    /** @type {string | undefined} */
    let said
    socket.addEventListener("message", ({ data }) => {
      said = data
    })
    socket.addEventListener("close", () => resolve(said))
  })

/** @param {string} path */
const echo = (path) =>
  new Promise((resolve) => {
    const socket = new WebSocket(url + path)
    socket.binaryType = "arraybuffer"
    socket.addEventListener("message", ({ data }) => socket.send(data))
    socket.addEventListener("error", () => {})
    socket.addEventListener("close", resolve)
  })

const count = Number(await ask("getCaseCount"))
for (let number = 1; number <= count; number++) await echo(`runCase?case=${number}`)
await ask("updateReports")
