/** The peers of a soak that misbehave: clients against the server, and a server for our clients. */
import { Buffer } from "node:buffer"
import * as Net from "node:net"
import { abandon, frame, phases, request } from "./abandon.ts"
import type { FaultsReport } from "./messages.ts"
import { misbehaviours } from "./misbehaviours.ts"
import { answer } from "./processes.ts"
import { between, makeRandom } from "./traffic.ts"

let done: Record<string, number> = {}
let problems: Array<string> = []

const patienceMillis = 180_000
// Much longer than the server waits for one that does not read, whose output takes a while to fill on a busy machine: one that
// reads again before that is no peer that never reads, and is flooded for ever. One that reads nothing does not see its end either.
const sulkMillis = 20_000

/**
 * Says something after the 101 and waits for the end; resolves with the bytes received, without the head. Of a flood that it does
 * not read in time it keeps none: on a busy machine that may be gigabytes.
 */
const converse = (
  port: number,
  path: string,
  say: (socket: Net.Socket) => void,
  reads = true
): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const socket = Net.connect({ host: "127.0.0.1", port, noDelay: true })
    const chunks: Array<Buffer> = []
    let spoken = false
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error("the server did not end it"))
    }, patienceMillis)
    socket.on("error", () => {})
    socket.on("close", () => {
      clearTimeout(timer)
      const all = Buffer.concat(chunks)
      resolve(all.subarray(all.indexOf("\r\n\r\n") + 4))
    })
    socket.on("connect", () => socket.write(request(path)))
    socket.on("data", (chunk) => {
      if (reads) chunks.push(chunk)
      if (spoken) return
      spoken = true
      if (!reads) {
        socket.pause()
        setTimeout(() => socket.resume(), sulkMillis)
      }
      say(socket)
    })
  })

/** The code of the last Close frame among a server's frames that are short. */
const closeCode = (bytes: Buffer): number | undefined => {
  let code: number | undefined
  for (let at = 0; at + 2 <= bytes.length;) {
    const length = bytes[at + 1]! & 127
    if (length > 125) return undefined
    if ((bytes[at]! & 15) === 8 && length >= 2) code = bytes.readUInt16BE(at + 2)
    at += 2 + length
  }
  return code
}

/** Breaks a rule; the server must say which. */
const violation = (code: number, ...bytes: ReadonlyArray<Uint8Array>) => async (port: number): Promise<void> => {
  const answered = closeCode(await converse(port, "/fault/echo", (socket) => socket.write(Buffer.concat(bytes))))
  if (answered !== code) throw new Error(`answered with ${answered}, not ${code}`)
}

const unmasked = Buffer.from([0x81, 0x02, 0x68, 0x69])
const tooLarge = Buffer.from([0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])

const longer: Readonly<Record<string, (port: number) => Promise<unknown>>> = {
  "sends an unmasked frame": violation(1002, unmasked),
  "sends a reserved opcode": violation(1002, frame(0x83, "")),
  "sends a reserved bit": violation(1002, frame(0xb1, "")),
  "sends a fragmented ping": violation(1002, frame(0x09, "")),
  "continues nothing": violation(1002, frame(0x80, "x")),
  "sends what is not UTF-8": violation(1007, frame(0x81, Uint8Array.of(0xc0, 0xaf))),
  "closes with a code that nobody may send": violation(1002, frame(0x88, Uint8Array.of(0x03, 0xed))),
  "declares too much": violation(1009, tooLarge),
  "sends empty fragments without end": violation(
    1009,
    frame(0x01, ""),
    ...Array.from({ length: 20_000 }, () => frame(0x00, ""))
  ),
  "never answers a ping": (port) => converse(port, "/fault/strict", () => {}),
  "stops within a frame": (port) => converse(port, "/fault/strict", (socket) => socket.write(frame(0x81, "cut").subarray(0, 7))),
  "never reads": (port) => converse(port, "/fault/flood", () => {}, false),
  "trickles": (port) =>
    converse(port, "/fault/strict", (socket) => {
      const bytes = frame(0x81, "a byte now and then")
      let at = 0
      const timer = setInterval(() => {
        socket.write(bytes.subarray(at, ++at))
        if (at === bytes.length) socket.end()
      }, 100)
      socket.once("close", () => clearInterval(timer))
    }),
  "half-closes": (port) =>
    converse(port, "/fault/echo", (socket) => socket.end(frame(0x81, "hi"))).then((bytes) => {
      if (!bytes.subarray(0, 4).equals(unmasked)) throw new Error("what was sent before the end is not answered")
    })
}

const ways: ReadonlyArray<readonly [string, (port: number) => Promise<unknown>]> = [
  ...phases("/fault").flatMap((phase) =>
    [true, false].map((reset) => [
      `${reset ? "resets" : "leaves"} ${phase.name}`,
      (port: number) => abandon(port, phase, reset)
    ] as const)
  ),
  ...Object.entries(longer)
]

let timer: NodeJS.Timeout | undefined
const under = new Set<Promise<void>>()

const begin = (port: number, [name, way]: typeof ways[number]): void => {
  const one = way(port)
    .catch((error) => {
      if (problems.length < 100) problems.push(`a peer that ${name}: ${error instanceof Error ? error.message : String(error)}`)
    })
    .then(() => {
      done[name] = (done[name] ?? 0) + 1
      under.delete(one)
    })
  under.add(one)
}

const open = new Set<Net.Socket>()
const server = Net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  open.add(socket)
  socket.on("error", () => {})
  socket.on("close", () => open.delete(socket))
  // Whatever it does, it does not keep one that left.
  socket.on("end", () => socket.end())
  socket.once("data", (chunk) => {
    const text = chunk.toString("latin1")
    const key = /^sec-websocket-key: *(\S+)/im.exec(text)?.[1] ?? ""
    misbehaviours[decodeURIComponent(text.split(" ")[1]!.slice(1))]?.(socket, key)
    // What is not read never ends.
    socket.resume()
  })
})

server.listen(0, "127.0.0.1", () =>
  answer({
    port: () => (server.address() as Net.AddressInfo).port,
    start: ({ ports, perSecond, seed }: { readonly ports: ReadonlyArray<number>; readonly perSecond: number; readonly seed: number }) => {
      const random = makeRandom(seed)
      done = {}
      timer = setInterval(
        () => begin(ports[between(random, 0, ports.length - 1)]!, ways[between(random, 0, ways.length - 1)]!),
        1000 / perSecond
      )
    },
    stop: async () => {
      clearInterval(timer)
      await Promise.all(under)
      for (const socket of open) socket.destroy()
    },
    report: (): FaultsReport => {
      const report = { done, problems }
      problems = []
      return report
    }
  }))
