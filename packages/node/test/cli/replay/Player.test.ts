import { assert, describe, it } from "@effect/vitest"
import type * as Net from "node:net"
import { Duplex } from "node:stream"
import { ConnectionWatch } from "../../../src/cli/inspect/ConnectionWatch.ts"
import { bytesEvent, type Event } from "../../../src/cli/inspect/Recording.ts"
import { play } from "../../../src/cli/replay/Player.ts"
import { scriptOf } from "../../../src/cli/replay/Script.ts"

const request = { start: "GET / HTTP/1.1", headers: [] }
const response = { start: "HTTP/1.1 101 Switching Protocols", headers: [] }
const clientClose = Uint8Array.of(0x88, 0x82, 0, 0, 0, 0, 3, 0xe8)
const serverClose = Uint8Array.of(0x88, 2, 3, 0xe8)

const events: ReadonlyArray<Event> = [
  { event: "head", at: 0, connection: 1, from: "client", ...request },
  { event: "head", at: 1, connection: 1, from: "server", ...response },
  bytesEvent(2, 1, "client", clientClose),
  bytesEvent(3, 1, "server", serverClose)
]

/** A client whose Close arrives at once, or only after the server has ended its side. */
const playTo = (isLate: boolean) => {
  const written: Array<Uint8Array> = []
  const socket = new Duplex({
    read: () => {},
    write: (chunk, _, done) => {
      written.push(chunk)
      done()
    },
    final: (done) => {
      if (isLate) socket.push(clientClose)
      socket.push(null)
      done()
    }
  })
  if (!isLate) socket.push(clientClose)
  const watch = new ConnectionWatch()
  watch.head("client", request)
  watch.head("server", response)
  const options = { patience: isLate ? 1 : 30_000, speed: undefined }
  const playing = play(socket as Net.Socket, watch, scriptOf(events, 1, "server"), "client", new Uint8Array(0), options)
  return playing.then((outcome) => ({ ...outcome, written: Buffer.concat(written) }))
}

describe("play", () => {
  it("sends what was recorded once the other side has sent its messages", async () => {
    const { differences, sentBytes, written } = await playTo(false)
    assert.deepStrictEqual(differences, [])
    assert.strictEqual(sentBytes, 4)
    assert.deepStrictEqual([...written], [...serverClose])
  })

  it("counts a message that arrives too late as missing, since nothing was sent in answer to it", async () => {
    const { differences, sentBytes } = await playTo(true)
    assert.deepStrictEqual(differences, ["message 1: a Close frame with 1000 in the recording, nothing now"])
    assert.strictEqual(sentBytes, 0)
  })
})
