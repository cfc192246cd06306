/** A program that has ended need not wait for a peer that never answers its Close; what was accepted still goes out. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import * as Http2 from "node:http2"
import type * as Net from "node:net"
import { answering, switching, until } from "../support/RawPeer.ts"

interface Leaver {
  /** Its connection has ended for the program. */
  left: boolean
  /** The exit code of the process. */
  code: number | null | undefined
}

const leaving = (port: number, dialler: string, size: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, [`${import.meta.dirname}/../support/leaving.ts`, String(port), dialler, String(size)], {
        stdio: ["ignore", "pipe", "inherit"],
        // The Socket of an HttpClient cannot let the process go.
        env: { ...process.env, EFFECT_WS_PORTABLE: "" }
      })
      const leaver: Leaver = { left: false, code: undefined }
      child.stdout.on("data", () => leaver.left = true)
      child.on("exit", (code) => leaver.code = code)
      return { child, leaver }
    }),
    ({ child }) => Effect.sync(() => child.kill())
  ).pipe(Effect.map(({ leaver }) => leaver))

/** The `closeLimit` of the programs is 20 seconds: they leave long before. */
const leavesSoon = (leaver: Leaver) =>
  Effect.gen(function*() {
    yield* until("the program has ended", () => leaver.left)
    const before = performance.now()
    yield* until("the process has ended", () => leaver.code !== undefined)
    assert.isBelow(performance.now() - before, 8000)
    assert.strictEqual(leaver.code, 0)
  })

const silentHttp2 = Effect.acquireRelease(
  Effect.callback<{ readonly server: Http2.Http2Server; readonly port: number }>((resume) => {
    const server = Http2.createServer({ settings: { enableConnectProtocol: true } })
    server.on("stream", (stream) => {
      stream.on("error", () => {})
      stream.respond({ ":status": 200 })
      stream.resume()
    })
    server.on("session", (session) => session.on("error", () => {}))
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, port: (server.address() as Net.AddressInfo).port })))
  }),
  ({ server }) => Effect.sync(() => server.close())
)

describe("the process of a client that has ended", () => {
  for (const dialler of ["HttpClient", "direct", "portable"]) {
    it.live(`ends although its peer never answers the Close (${dialler})`, () =>
      Effect.gen(function*() {
        const { port } = yield* answering((_, accept) => [switching(accept)])
        yield* leavesSoon(yield* leaving(port, dialler, 10))
      }))
  }

  it.live("ends although its peer never answers the Close (http2)", () =>
    Effect.gen(function*() {
      const { port } = yield* silentHttp2
      yield* leavesSoon(yield* leaving(port, "http2", 10))
    }))

  for (const dialler of ["direct", "portable"]) {
    it.live(`stays for what the peer has not taken (${dialler})`, () =>
      Effect.gen(function*() {
        const size = 16 << 20
        const { peers, port } = yield* answering((_, accept, { socket }) => {
          socket.pause()
          return [switching(accept)]
        })
        const leaver = yield* leaving(port, dialler, size)
        yield* until("the program has ended", () => leaver.left)
        yield* Effect.sleep(500)
        assert.isUndefined(leaver.code)
        const peer = peers[0]!
        peer.socket.removeAllListeners("data")
        let got = peer.bytes.length
        peer.socket.on("data", (chunk: Buffer) => got += chunk.length)
        peer.socket.resume()
        yield* leavesSoon(leaver)
        yield* peer.untilEnded
        assert.isUndefined(peer.error)
        // With the head of the frame, and an empty Close or one with a code.
        assert.isAtLeast(got, size + 14 + 6)
      }))
  }
})
