/**
 * A handle in each of the ways that Nodes use them, with a handle that answers as a test wants; handles of real sockets are
 * proved by transport/HandleTransport.test.ts, and tried by SocketProbe.
 */
import { afterAll, assert, beforeEach, describe, it } from "@effect/vitest"
import { Socket } from "node:net"
import * as SocketHandle from "../../src/undocumented/SocketHandle.ts"
import * as SocketProbe from "../../src/undocumented/SocketProbe.ts"

class Request implements SocketHandle.Request {
  static made = 0
  oncomplete: Exclude<SocketHandle.Request["oncomplete"], undefined> = null
  writeStatus: number | null = null
  id = -1
  constructor() {
    Request.made++
  }
  getAsyncId = () => this.id
}

type Answer = (request: SocketHandle.Request | null) => number | SocketHandle.Request

/** What a handle told, and what it was asked. */
class Told extends SocketHandle.SocketHandle {
  readonly calls: Array<string> = []
  override onBytes(chunk: Uint8Array) {
    this.calls.push(`bytes ${chunk.length}`)
  }
  override onEndRead() {
    this.calls.push("end")
  }
  override onTakenWrite() {
    this.calls.push("taken")
  }
  override onShutDown() {
    this.calls.push("shut down")
  }
  override onFailure(phase: string, error: Error) {
    this.calls.push(`${phase}: ${error.message}`)
    this.destroy()
  }
  override destroy() {
    this.closeHandle()
  }
  read = () => this.startReading()
  stop = () => this.stopReading()
  send = (...chunks: ReadonlyArray<Uint8Array>) => this.write(chunks)
  head = (text: string) => this.writeText(text)
}

const owner = Symbol("owner")
const one = new Uint8Array(1)

describe("SocketHandle", () => {
  afterAll(() => SocketProbe.run())

  let answer: Answer = () => 0
  let start = 0
  let bytesRead = 100
  let asked: Array<string> = []
  // Stands in for Node's own listener, which tells its socket what a read without bytes was.
  let ended: (socket: Socket) => void = () => {}
  const base = {}

  const make = (WriteRequest: SocketHandle.Ways["WriteRequest"]): Told => {
    SocketHandle.enable({
      WriteRequest,
      ShutdownRequest: Request,
      owner,
      base,
      onread() {
        ended((this as unknown as Record<symbol, Socket>)[owner]!)
      }
    })
    const ask = (name: string, result: Answer) => (request: SocketHandle.Request | null) => {
      asked.push(name)
      return result(request)
    }
    const raw = Object.assign(Object.create(base) as object, {
      reading: false,
      onread: () => {},
      writeQueueSize: 0,
      readStart: () => start,
      readStop: () => 0,
      useUserBuffer: () => {},
      writeBuffer: ask("writeBuffer", (request) => answer(request)),
      writev: ask("writev", (request) => answer(request)),
      writeLatin1String: ask("writeLatin1String", (request) => answer(request)),
      shutdown: () => 0,
      close: () => asked.push("close")
    })
    Object.defineProperty(raw, "bytesRead", { get: () => bytesRead })
    return new Told({ raw: raw as unknown as SocketHandle.RawHandle, socket: new Socket(), server: undefined, isReading: false })
  }

  const read = (told: Told) => told.hasRead()

  beforeEach(() => {
    answer = () => 0
    start = 0
    bytesRead = 100
    asked = []
    Request.made = 0
  })

  describe("where a write is given its request (up to Node 25)", () => {
    it("a write that is done at once leaves its request to the next", () => {
      const told = make(Request)
      const seen = new Set<unknown>()
      answer = (request) => {
        seen.add(request)
        return 0
      }
      assert.isTrue(told.send(one))
      assert.isTrue(told.send(one, one))
      told.head("head")
      assert.deepStrictEqual(asked, ["writeBuffer", "writev", "writeLatin1String"])
      assert.isAtMost(Request.made, 1)
      assert.strictEqual(seen.size, 1)
      assert.deepStrictEqual(told.calls, [])
    })

    it("one that waits keeps it until it is taken, or has failed", () => {
      for (const [status, call] of [[0, "taken"], [-32, "write: write EPIPE: broken pipe"]] as const) {
        const told = make(Request)
        let request: Request | undefined
        answer = (given) => {
          request = given as Request
          request.id = 7
          return 0
        }
        assert.isFalse(told.send(one))
        assert.deepStrictEqual(told.calls, [])
        request!.oncomplete!.call(request!, status)
        assert.deepStrictEqual(told.calls, [call])
        // The system still holds it.
        const before = request
        told.send(one)
        assert.notStrictEqual(request, before)
      }
    })

    it("one that fails at once breaks the connection", () => {
      const told = make(Request)
      answer = () => -104
      assert.isTrue(told.send(one))
      assert.deepStrictEqual(told.calls, ["write: write ECONNRESET: connection reset by peer"])
      assert.include(asked, "close")
    })
  })

  describe("where a write makes its request (Node 26)", () => {
    const made = (change: Partial<Request>): Request => Object.assign(new Request(), { id: 7 }, change)

    it("is given none", () => {
      const told = make(undefined)
      answer = (request) => {
        assert.isNull(request)
        return 0
      }
      assert.isTrue(told.send(one))
      told.head("head")
      assert.deepStrictEqual(told.calls, [])
    })

    it("a request that is returned waits", () => {
      const told = make(undefined)
      const request = made({})
      answer = () => request
      assert.isFalse(told.send(one, one))
      request.oncomplete!.call(request, 0)
      assert.deepStrictEqual(told.calls, ["taken"])
    })

    it("one that was done before it was returned says how", () => {
      const told = make(undefined)
      answer = () => made({ writeStatus: 0 })
      assert.isTrue(told.send(one))
      assert.deepStrictEqual(told.calls, [])
      answer = () => made({ writeStatus: -32 })
      assert.isTrue(told.send(one))
      assert.deepStrictEqual(told.calls, ["write: write EPIPE: broken pipe"])
    })

    it("one that the system does not know has failed", () => {
      const told = make(undefined)
      answer = () => made({ id: -1 })
      assert.isTrue(told.send(one))
      assert.deepStrictEqual(told.calls, ["write: write EPIPE: broken pipe"])
    })

    it("so has a number below 0, and nothing is told once the handle is closed", () => {
      const told = make(undefined)
      const request = made({})
      answer = () => request
      assert.isFalse(told.send(one))
      answer = () => -104
      told.head("head")
      assert.deepStrictEqual(told.calls, ["write: write ECONNRESET: connection reset by peer"])
      request.oncomplete!.call(request, 0)
      bytesRead = 200
      read(told)
      assert.strictEqual(told.calls.length, 1)
    })
  })

  it("reads what was counted since, and asks Node's own listener about a read without bytes", () => {
    const told = make(Request)
    told.read()
    bytesRead = 105
    read(told)
    bytesRead = 100 + 5 + 65536
    read(told)
    ended = () => {}
    read(told)
    assert.deepStrictEqual(told.calls, ["bytes 5", "bytes 65536"])
    ended = (socket) => {
      socket.push(null)
      socket.read(0)
      socket.on("end", () => {})
    }
    read(told)
    assert.deepStrictEqual(told.calls.slice(2), ["end"])
    told.read()
    ended = (socket) => socket.destroy(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }))
    read(told)
    assert.deepStrictEqual(told.calls.slice(3), ["read: read ECONNRESET"])
  })

  it("a read that cannot be started is told", () => {
    const told = make(Request)
    start = -22
    told.read()
    assert.deepStrictEqual(told.calls, ["read: read EINVAL: invalid argument"])
  })

  it("nothing is released while it is not known to work", () => {
    make(Request)
    assert.isTrue(SocketHandle.isEnabled())
    SocketHandle.enable(undefined)
    assert.isFalse(SocketHandle.isEnabled())
    assert.isUndefined(SocketHandle.release(new Socket()))
  })
})
