import { assert, describe, it } from "@effect/vitest"
import type { Transport } from "@effect-ws/core"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { EventEmitter } from "node:events"
import { IncomingMessage } from "node:http"
import { Socket } from "node:net"
import { LeftMessage } from "../../src/undocumented/LeftMessage.ts"

const transport = { destroy: () => {} } as Transport.Transport

/** A message as Node hands it to the one listener for upgrades. */
const message = (rawHeaders: Array<string>, address: object = { remoteAddress: "127.0.0.1", remotePort: 4711 }) => {
  const server = new EventEmitter().on("upgrade", () => {})
  const socket = Object.create(new Socket(), Object.getOwnPropertyDescriptors({ server, ...address })) as Socket
  return Object.assign(new IncomingMessage(socket), { url: "/", rawHeaders })
}

const leave = (rawHeaders: Array<string>, isShown: boolean, address?: object) =>
  LeftMessage.leave(message(rawHeaders, address), transport, isShown, true)

describe("LeftMessage", () => {
  // Few different lines, so that many lists have all of them in common, or all but one.
  const lines = Arbitrary.array(Arbitrary.schema(Schema.Literals(["Host", "a", "b", ""])), { maxLength: 4 })
  const request = Arbitrary.schema(Schema.Struct({ isShown: Schema.Boolean, isChanged: Schema.Boolean }))

  it.prop("keeps the headers of each request, whatever others had and do with theirs", {
    lists: Arbitrary.array(lines, { maxLength: 12 }),
    requests: Arbitrary.array(request, { minLength: 12, maxLength: 12 })
  }, ({ lists, requests }) => {
    const left = lists.map((list, i) => {
      const { isChanged, isShown } = requests[i]!
      const one = leave([...list], isShown)
      assert.strictEqual(one instanceof LeftMessage, !isShown)
      // Whoever was shown it, or asks for it, may write to it.
      if (isChanged) one.rawHeaders.fill("changed")
      return { one, expected: isShown && isChanged ? list.map(() => "changed") : list }
    })
    for (const { expected, one } of left) {
      assert.deepStrictEqual(one.rawHeaders, expected)
      if (one instanceof LeftMessage) assert.deepStrictEqual(one.message().rawHeaders, expected)
    }
  })

  it("holds one list for those that differ in one line, and one string for all that are equal", () => {
    const names = (key: string) => ["Host", "example.com:80", "Sec-WebSocket-Key", key]
    const [first, second, third] = ["1", "2", "3"].map((key) => leave(names(key), false) as object as Record<string, unknown>)
    assert.strictEqual(first!["lines"], second!["lines"])
    assert.strictEqual(second!["lines"], third!["lines"])
    assert.deepStrictEqual([first!["own"], second!["own"], third!["own"]], [undefined, "2", "3"])
  })

  it("tells the peer's address as the socket did", () => {
    const addresses = [
      { remoteAddress: "127.0.0.1", remotePort: 1, remoteFamily: "IPv4" },
      { remoteAddress: "::1", remotePort: 2, remoteFamily: "IPv6" },
      { remoteAddress: "fe80::1%br_lan", remotePort: 3, remoteFamily: "IPv6" },
      { remoteAddress: "::1", remotePort: 4, remoteFamily: "IPv6" },
      { remoteAddress: undefined, remotePort: undefined, remoteFamily: undefined }
    ]
    for (const isShown of [false, true]) {
      const left = addresses.map((address) => leave([], isShown, address))
      assert.deepStrictEqual(
        left.map(({ socket: { remoteAddress, remoteFamily, remotePort } }) => ({ remoteAddress, remotePort, remoteFamily })),
        addresses
      )
    }
  })

  it("still ends the connection by its socket, which is the same one once it is asked for", () => {
    let ended = 0
    const left = LeftMessage.leave(message([]), { ...transport, destroy: () => void ended++ }, false, true) as LeftMessage
    const again = left.message()
    assert.strictEqual(again.socket, again.socket)
    again.socket.setTimeout(0).setKeepAlive(true).destroy()
    assert.strictEqual(ended, 1)
  })
})
