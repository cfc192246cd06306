// An echo client of the `ws` package; see ws-server.mjs.
import { WebSocket } from "ws"

const url = process.argv[2]
const options = { perMessageDeflate: { threshold: 0 }, maxPayload: 16 * 1024 * 1024, maxFragments: 0, maxBufferedChunks: 0 }

/** @param {string} path */
const run = async (path) => {
  const socket = new WebSocket(url + path, options)
  let said = ""
  socket.on("message", (data, binary) => {
    said = path === "getCaseCount" ? String(data) : ""
    if (path.startsWith("runCase")) socket.send(data, { binary })
  })
  socket.on("error", () => {})
  await new Promise((resolve) => socket.on("close", resolve))
  return said
}

const count = Number(await run("getCaseCount"))
for (let number = 1; number <= count; number++) await run(`runCase?case=${number}`)
await run("updateReports")
