/** One message of 1 GiB through bounded memory, both ways, in processes of little heap. */
import { assert, describe, it } from "@effect/vitest"
import { Opcode } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import { connectUpgraded, until } from "./support/RawPeer.ts"
import { inSmallHeap, lineOf } from "./support/SmallHeap.ts"

interface Line {
  readonly port?: number
  readonly name?: string
  readonly bytes?: number
  readonly grewMiB?: number
  readonly seconds?: number
}

const size = 2 ** 30
const boundMiB = 64

const run = (...args: ReadonlyArray<string>) => inSmallHeap<Line>("gigabyte.ts", args)

const check = (line: Line) => {
  assert.strictEqual(line.bytes, size)
  assert.isBelow(line.grewMiB ?? Infinity, boundMiB, JSON.stringify(line))
}

describe("1 GiB in one message", () => {
  it.live("from a client to a server", () =>
    Effect.gen(function*() {
      const server = yield* run("server")
      const { port } = yield* lineOf(server, (line) => line.port !== undefined)
      const client = yield* run("upload", `ws://127.0.0.1:${port}/up`)
      check(yield* lineOf(server, (line) => line.name === "took"))
      check(yield* lineOf(client, (line) => line.name === "gave"))
    }), 60_000)

  it.live("from a server to a client", () =>
    Effect.gen(function*() {
      const server = yield* run("server")
      const { port } = yield* lineOf(server, (line) => line.port !== undefined)
      const client = yield* run("download", `ws://127.0.0.1:${port}/down`)
      check(yield* lineOf(client, (line) => line.name === "took"))
      check(yield* lineOf(server, (line) => line.name === "gave"))
    }), 60_000)

  it.live("as one single frame", () =>
    Effect.gen(function*() {
      const server = yield* run("server")
      const { port } = yield* lineOf(server, (line) => line.port !== undefined)
      const peer = yield* connectUpgraded(port!, "/up")
      // Masked with zeros, which change nothing.
      const header = new DataView(new ArrayBuffer(14))
      header.setUint8(0, 0x80 | Opcode.Binary)
      header.setUint8(1, 0x80 | 127)
      header.setBigUint64(2, BigInt(size))
      peer.write(new Uint8Array(header.buffer))
      const piece = new Uint8Array(1 << 20)
      let sent = 0
      const send = () => {
        while (sent < size) {
          sent += piece.length
          if (!peer.socket.write(piece)) return
        }
      }
      peer.socket.on("drain", send)
      send()
      check(yield* lineOf(server, (line) => line.name === "took"))
      yield* until("the answer", () => peer.texts().includes(String(size)))
    }), 60_000)
})
