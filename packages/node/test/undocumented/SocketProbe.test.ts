/** Handles are used only where they do on known connections what they should: each part spoiled in turn. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Net from "node:net"
import * as SharedReads from "../../src/undocumented/SharedReads.ts"
import * as SocketHandle from "../../src/undocumented/SocketHandle.ts"
import * as SocketProbe from "../../src/undocumented/SocketProbe.ts"

type Ways = SocketHandle.Ways
type Raw = SocketHandle.RawHandle

// Where something does not come, it is not waited for long.
const patience = 400

const learning = (change: (ways: Ways) => Ways) =>
  SocketProbe.run({ patience, learn: async (pair) => change(await SocketProbe.learn(pair)) })

describe("SocketProbe", { timeout: 60_000 }, () => {
  afterAll(() => SocketProbe.run())

  it("finds that they work on this Node", async () => {
    await SocketProbe.run()
    assert.isTrue(SocketHandle.isEnabled())
    assert.isTrue(SharedReads.isEnabled())
  })

  it("is not misled by others that connect to its port", async () => {
    const others: Array<Net.Socket> = []
    const onPair = ({ localPort }: Net.Socket) => {
      for (let i = 0; i < 3; i++) others.push(Net.connect(localPort!, "127.0.0.1").on("error", () => {}))
    }
    await SocketProbe.run({ onPair })
    assert.isAtLeast(others.length, 15)
    assert.isTrue(SocketHandle.isEnabled() && SharedReads.isEnabled())
    for (const other of others) other.destroy()
  })

  type Name = Exclude<keyof Raw, symbol>
  type Method = (this: Raw, ...args: Array<unknown>) => unknown

  /** Gives a handle another method in place of its own. */
  const method = (name: Name, replaced: (own: Method) => Method | undefined) => (raw: Raw) => {
    Object.defineProperty(raw, name, { value: replaced(raw[name] as Method) })
  }
  const getter = (name: Name, get: () => unknown) => (raw: Raw) => {
    Object.defineProperty(raw, name, { get })
  }

  const spoiled: Readonly<Record<string, (raw: Raw) => void>> = {
    "lack useUserBuffer": method("useUserBuffer", () => undefined),
    "read into a buffer of their own": method("useUserBuffer", () => () => {}),
    "lack bytesRead": getter("bytesRead", () => undefined),
    "do not count what they read": getter("bytesRead", () => 0),
    "do not stop reading": method("readStop", () => () => 0),
    "do not start reading": method("readStart", () => () => -22),
    "lack writev": method("writev", () => undefined),
    "say that a write failed": method("writeBuffer", () => () => -32),
    "write another thing": method("writeBuffer", (own) =>
      function(request) {
        return own.call(this, request, new Uint8Array(1))
      }),
    "write text in another encoding": method("writeLatin1String", () =>
      function(...args) {
        return (Reflect.get(this, "writeUtf8String") as Method).apply(this, args)
      }),
    "do not say what waits": getter("writeQueueSize", () => 0),
    "lack writeQueueSize": getter("writeQueueSize", () => undefined),
    "do not send the end": method("shutdown", () => () => 0)
  }
  for (const [what, spoil] of Object.entries(spoiled)) {
    it(`does not use handles that ${what}`, async () => {
      await SocketProbe.run({ patience, onPair: (near) => spoil(SocketHandle.rawHandleOf(near)!) })
      assert.isFalse(SocketHandle.isEnabled())
    })
  }

  const ways: Readonly<Record<string, (ways: Ways) => Ways>> = {
    "a listener that tells nothing": (ways) => ({ ...ways, onread: () => {} }),
    "a listener that fails": (ways) => ({
      ...ways,
      onread: () => {
        throw new Error("not here")
      }
    }),
    "another property for the owner": (ways) => ({ ...ways, owner: Symbol("owner_symbol") }),
    "another class of handles": (ways) => ({ ...ways, base: {} })
  }
  for (const [what, change] of Object.entries(ways)) {
    it(`does not use handles with ${what}`, async () => {
      await learning(change)
      assert.isFalse(SocketHandle.isEnabled())
      assert.isTrue(SharedReads.isEnabled())
    })
  }

  it("does not use what it cannot learn, nor reads that it finds no keys for", async () => {
    await SocketProbe.run({
      learn: () => Promise.reject(new Error("Node uses handles in another way")),
      findKeys: () => undefined
    })
    assert.isFalse(SocketHandle.isEnabled())
    assert.isFalse(SharedReads.isEnabled())
  })

  it("does not share reads under other keys", async () => {
    await SocketProbe.run({ patience, findKeys: () => ({ ...SharedReads.findKeys()!, buffer: Symbol("kBuffer") }) })
    assert.isFalse(SharedReads.isEnabled())
    assert.isTrue(SocketHandle.isEnabled())
  })
})
