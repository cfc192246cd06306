import { assert, describe, it } from "@effect/vitest"
import * as Message from "../../src/Message.ts"
import type { Transform } from "../../src/MessageExtension.ts"
import * as Opcode from "../../src/Opcode.ts"
import { portable, type Primitives } from "../../src/Primitives.ts"
import { Outbound } from "../../src/protocol/Outbound.ts"
import { closeBody, concat, framesOf } from "../support/FakeTransport.ts"
import * as RunLength from "../support/RunLength.ts"

const roles = ["client", "server"] as const
type Role = typeof roles[number]

const make = (role: Role = "server", transform?: Transform, primitives: Primitives = portable) =>
  new Outbound(role, primitives, transform)

/** The frames that wait, with the reserved bits of an extension, and each payload as text or bytes. */
const taken = (outbound: Outbound, role: Role = "server"): Array<readonly [firstByte: number, data: Uint8Array]> => {
  const wire = concat(outbound.take())
  outbound.taken()
  const firsts: Array<number> = []
  let at = 0
  // Without reserved bits the frames are legal for any decoder.
  const plain = wire.slice()
  while (at < wire.length) {
    firsts.push(wire[at]!)
    plain[at]! &= 0x8f
    const short = wire[at + 1]! & 0x7f
    const extra = short < 126 ? 0 : short === 126 ? 2 : 8
    const view = new DataView(wire.buffer, wire.byteOffset)
    const size = extra === 0 ? short : extra === 2 ? view.getUint16(at + 2) : view.getUint32(at + 6)
    at += 2 + extra + (role === "client" ? 4 : 0) + size
  }
  return framesOf(plain, role === "client" ? "required" : "forbidden").map(({ data }, i) => [firsts[i]!, data] as const)
}

const utf8 = (text: string) => new TextEncoder().encode(text)
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

/** An extension whose encoder adds a byte in front, and sends at the end what it was given. */
const marking = (options: { readonly shareKey?: string; readonly onPush?: () => void } = {}): Transform => ({
  name: "x-mark",
  rsv: 4,
  encoder: {
    sliceSize: 100,
    shareKey: options.shareKey,
    begin: (message) => message === "plain" ? 0 : 4,
    push: (bytes) => {
      options.onPush?.()
      return concat([Uint8Array.of(0x21), bytes])
    }
  },
  decoder: { begin: () => undefined, push: () => undefined, next: () => undefined },
  close: () => {}
})

describe("Outbound", () => {
  it("sends a message in one frame, of its type", () => {
    for (const role of roles) {
      const outbound = make(role)
      outbound.send("h\u00e9")
      outbound.send(Uint8Array.of(1, 2))
      outbound.send("")
      assert.strictEqual(outbound.sentMessages, 3)
      assert.isAbove(outbound.queuedBytes, 0)
      assert.deepStrictEqual(taken(outbound, role), [
        [0x81, utf8("h\u00e9")],
        [0x82, Uint8Array.of(1, 2)],
        [0x81, new Uint8Array(0)]
      ])
      assert.strictEqual(outbound.queuedBytes, 0)
      assert.deepStrictEqual(outbound.take(), [])
      outbound.taken()
      outbound.clear()
      assert.deepStrictEqual(outbound.take(), [])
    }
  })

  it("sends a message in fragments: the opcode with the first, FIN with the last", () => {
    for (const role of roles) {
      const outbound = make(role)
      outbound.sendFragment("text", "a", false)
      outbound.sendFragment("text", utf8("b"), false)
      assert.strictEqual(outbound.sentMessages, 0, "it is not whole yet")
      outbound.sendFragment("text", "", true)
      outbound.sendFragment("binary", Uint8Array.of(1), true)
      assert.strictEqual(outbound.sentMessages, 2)
      assert.isFalse(outbound.beginFragments("binary", Uint8Array.of(7, 8)))
      outbound.sendFragment("binary", Uint8Array.of(7), false)
      outbound.sendFragment("binary", Uint8Array.of(8), true)
      assert.deepStrictEqual(taken(outbound, role), [
        [0x01, utf8("a")],
        [0x00, utf8("b")],
        [0x80, new Uint8Array(0)],
        [0x82, Uint8Array.of(1)],
        [0x02, Uint8Array.of(7)],
        [0x80, Uint8Array.of(8)]
      ])
    }
  })

  it("lets an extension encode, and sends as they are the messages that it leaves alone", () => {
    const outbound = make("server", marking())
    outbound.send("plain")
    outbound.send("text")
    outbound.send(Uint8Array.of(1, 2))
    assert.isTrue(outbound.beginFragments("text"))
    outbound.sendFragment("text", "a", false)
    outbound.sendFragment("text", "b", true)
    assert.isFalse(outbound.beginFragments("text", "plain"))
    outbound.sendFragment("text", "pla", false)
    outbound.sendFragment("text", "in", true)
    assert.deepStrictEqual(taken(outbound).map(([first, data]) => [first, text(data)]), [
      [0x81, "plain"],
      [0xc1, "!text"],
      [0xc2, "!\u0001\u0002"],
      [0x41, "!a"],
      [0x80, "!b"],
      [0x01, "pla"],
      [0x80, "in"]
    ])
    assert.deepStrictEqual([outbound.encoding?.inputBytes, outbound.encoding?.outputBytes], [8, 12])
    assert.isUndefined(make().encoding)
  })

  it("encodes a text of any size for an extension", () => {
    for (const size of [1, 21_845, 21_846, 100_000]) {
      const outbound = make("server", marking())
      outbound.send("\u20ac".repeat(size))
      const [[first, data]] = taken(outbound) as [readonly [number, Uint8Array]]
      assert.strictEqual(first, 0xc1)
      assert.strictEqual(data.length, 1 + 3 * size)
      assert.strictEqual(text(data.subarray(1)), "\u20ac".repeat(size))
    }
  })

  it("sends no fragment for what an extension keeps back, but at the end", () => {
    const outbound = make("server", RunLength.open({ keepBack: 10 }))
    outbound.sendFragment("binary", new Uint8Array(3), false)
    assert.deepStrictEqual(taken(outbound), [])
    outbound.sendFragment("binary", new Uint8Array(20), false)
    outbound.sendFragment("binary", new Uint8Array(2), true)
    assert.deepStrictEqual(taken(outbound).map(([first]) => first), [0x22, 0x80])
    const nothing = make("server", {
      ...marking(),
      encoder: { sliceSize: 100, begin: () => 4, push: () => new Uint8Array(0) }
    })
    nothing.sendFragment("binary", new Uint8Array(3), false)
    nothing.sendFragment("binary", new Uint8Array(3), true)
    assert.deepStrictEqual(taken(nothing), [[0xc2, new Uint8Array(0)]])
  })

  it("sends nothing more where the extension closes while it encodes", () => {
    for (const message of ["text", Uint8Array.of(1), Message.prepare("prepared")]) {
      const outbound: Outbound = make("server", marking({ shareKey: "all", onPush: () => outbound.close(1000, "") }))
      outbound.send(message)
      assert.deepStrictEqual(taken(outbound), [[0x88, closeBody(1000)]])
    }
    const outbound: Outbound = make("server", marking({ onPush: () => outbound.close(1000, "") }))
    outbound.sendFragment("text", "a", true)
    assert.deepStrictEqual(taken(outbound), [[0x88, closeBody(1000)]])
  })

  it("knows which messages an extension wants in slices, by their bytes", () => {
    const outbound = make("server", marking())
    assert.strictEqual(outbound.sliceSize, 100)
    const sliced = [
      "a".repeat(100), "a".repeat(101), "\u00e9".repeat(50), "\u00e9".repeat(51), "\u20ac".repeat(33), "\u20ac".repeat(34),
      new Uint8Array(100), new Uint8Array(101)
    ].map((message) => outbound.isSliced(message))
    assert.deepStrictEqual(sliced, [false, true, false, true, false, true, false, true])
    const plain = make()
    assert.strictEqual(plain.sliceSize, Infinity)
    assert.isFalse(plain.isSliced(new Uint8Array(1_000_000)))
    assert.isFalse(plain.isTurnOver)
    plain.tookTurn()
    outbound.send(new Uint8Array(99))
    assert.isFalse(outbound.isTurnOver)
    outbound.send(new Uint8Array(1))
    assert.isTrue(outbound.isTurnOver)
    outbound.tookTurn()
    assert.isFalse(outbound.isTurnOver)
  })

  it("encodes a prepared message once for all servers that encode alike", () => {
    const plain = Message.prepare("h\u00e9")
    for (let i = 0; i < 2; i++) {
      const outbound = make()
      assert.isTrue(outbound.shares(plain))
      outbound.send(plain)
      outbound.send(Message.prepare(Uint8Array.of(1)))
      assert.strictEqual(outbound.sentMessages, 2)
      assert.deepStrictEqual(taken(outbound), [[0x81, utf8("h\u00e9")], [0x82, Uint8Array.of(1)]])
    }
    let pushed = 0
    const counted = (shareKey: string) => make("server", marking({ shareKey, onPush: () => pushed++ }))
    const shared = Message.prepare("shared")
    const seen = ["a", "a", "b"].map((shareKey) => {
      const outbound = counted(shareKey)
      assert.isTrue(outbound.shares(shared))
      outbound.send(shared)
      return taken(outbound)
    })
    assert.strictEqual(pushed, 2, "once for each kind")
    for (const frames of seen) assert.deepStrictEqual(frames, [[0xc1, utf8("!shared")]])
    const left = counted("a")
    left.send(Message.prepare("plain"))
    assert.deepStrictEqual(taken(left), [[0x81, utf8("plain")]])
  })

  it("sends a prepared message like any other where it cannot be shared", () => {
    const prepared = Message.prepare("text")
    const client = make("client")
    assert.isFalse(client.shares(prepared), "each frame of a client has a key of its own")
    client.send(prepared)
    assert.deepStrictEqual(taken(client, "client"), [[0x81, utf8("text")]])
    const keeping = make("server", marking())
    assert.isFalse(keeping.shares(prepared), "the bytes depend on earlier messages")
    keeping.send(prepared)
    assert.deepStrictEqual(taken(keeping), [[0xc1, utf8("!text")]])
    const sharing = make("server", marking({ shareKey: "all" }))
    assert.isTrue(sharing.shares(Message.prepare("a".repeat(100))))
    assert.isFalse(sharing.shares(Message.prepare("a".repeat(101))), "it goes out in slices")
    assert.deepStrictEqual([client, keeping, sharing].map((one) => one.sentMessages), [1, 1, 0])
  })

  it("sends no run of messages through an extension", () => {
    const outbound = make("server", marking())
    assert.strictEqual(outbound.sendRun(["a"], 0, Infinity), 0)
    assert.deepStrictEqual(taken(outbound), [])
  })

  it("answers Pings in front of what waits, and counts the bytes of Pings and Pongs", () => {
    for (const role of roles) {
      const outbound = make(role)
      const header = role === "client" ? 6 : 2
      outbound.send("waits")
      outbound.control(Opcode.Ping, utf8("ping"))
      outbound.control(Opcode.Pong, utf8("pong!"))
      assert.strictEqual(outbound.controlBytes, 2 * header + 9)
      outbound.answer(utf8("1"))
      outbound.answer(utf8("22"))
      assert.strictEqual(outbound.controlBytes, 4 * header + 12)
      outbound.blocked = true
      outbound.answer(utf8("333"))
      assert.strictEqual(outbound.controlBytes, 4 * header + 13, "the last answer took the place of another")
      assert.deepStrictEqual(taken(outbound, role).map(([first, data]) => [first, text(data)]), [
        [0x8a, "1"],
        [0x8a, "333"],
        [0x81, "waits"],
        [0x89, "ping"],
        [0x8a, "pong!"]
      ])
    }
  })

  it("closes once, and appends nothing afterwards", () => {
    for (const role of roles) {
      const outbound = make(role)
      assert.isUndefined(outbound.sentClose)
      outbound.send("before")
      outbound.close(1001, "h\u00e9")
      outbound.close(1000, "again")
      assert.deepStrictEqual(outbound.sentClose, { code: 1001, reason: "h\u00e9" })
      outbound.send("after")
      outbound.send(Message.prepare("after"))
      outbound.sendFragment("text", "after", true)
      outbound.control(Opcode.Ping, utf8("after"))
      outbound.answer(utf8("after"))
      assert.strictEqual(outbound.sendRun(["after"], 0, Infinity), 0)
      assert.deepStrictEqual([outbound.sentMessages, outbound.controlBytes], [1, 0])
      assert.deepStrictEqual(taken(outbound, role), [[0x81, utf8("before")], [0x88, closeBody(1001, "h\u00e9")]])
      const empty = make(role)
      empty.close(1005, "")
      assert.deepStrictEqual(taken(empty, role), [[0x88, new Uint8Array(0)]])
    }
  })

  it("gives its outbox back once everything was taken, and not before", () => {
    const primitives = { ...portable }
    const [first, second] = [make("server", undefined, primitives), make("server", undefined, primitives)]
    first.send("one")
    first.take()
    second.send("another")
    assert.strictEqual(text(concat(second.take()).subarray(2)), "another")
    second.taken()
    first.send("two")
    first.taken()
    assert.deepStrictEqual(taken(first), [[0x81, utf8("two")]], "what was appended meanwhile is still there")
    const outboxes = () => (first as unknown as { readonly outbox: unknown }).outbox
    assert.isUndefined(outboxes(), "an idle connection holds none")
    first.send("dropped")
    first.clear()
    assert.deepStrictEqual([first.queuedBytes, taken(first)], [0, []])
  })
})
