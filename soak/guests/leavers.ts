/** Clients that leave while the handler of their connection runs, and subscribers that never get read. */
import { frame } from "../abandon.ts"
import type { Departure, HandlerKind } from "../messages.ts"
import { between, pick, type Random } from "../traffic.ts"
import { dial, type Guest, within } from "./dial.ts"
import { opcodes } from "./wire.ts"

const patienceMillis = 60_000

const now = (): number => performance.timeOrigin + performance.now()

const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

const word = frame(0x80 | opcodes.text, "something to say")
const closeFrame = frame(0x80 | opcodes.close, Uint8Array.of(0x03, 0xe8))

type Way = Departure["way"]

const leave = async (guest: Guest, way: Way): Promise<number> => {
  const at = now()
  if (way === "RST") {
    guest.socket.resetAndDestroy()
    await guest.closed
    return at
  }
  if (way === "Close") {
    guest.socket.write(closeFrame)
    await within(patienceMillis, "the server did not answer a Close", guest, Promise.race([guest.closeFrame, guest.closed]))
  } else {
    guest.socket.end()
  }
  await within(patienceMillis, `the server did not end a connection after ${way === "FIN" ? "the end of stream" : "both Closes"}`, guest, guest.closed)
  return at
}

const ways: ReadonlyArray<readonly [number, Way]> = [[1, "Close"], [1, "FIN"], [1, "RST"]]
const kinds: ReadonlyArray<readonly [number, HandlerKind]> = [[2, "never"], [2, "push"], [1, "drained"], [2, "job"], [1, "echo"]]

/** Comes, says little or more than anybody reads, and leaves. */
export const comeAndLeave = async (port: number, key: string, random: Random): Promise<Departure> => {
  const kind = pick(random, kinds)
  const way = pick(random, ways)
  const guest = await dial(port, `/life/${kind}?key=${key}`, {})
  const words = pick(random, [[3, 0], [3, 1], [1, 100], [1, 3000]] as const)
  for (let i = 0; i < Math.max(words, kind === "job" ? 1 : 0); i++) guest.socket.write(word)
  await pause(between(random, 0, 1500))
  return { key, kind, way, at: await leave(guest, way) }
}

export interface Subscribed {
  readonly departure: Departure
  readonly received: number
  readonly lost: number
  readonly pings: number
}

/** Listens to a handler that sends: no push may be missing, every Ping is answered, and in the end it leaves. */
export const subscribe = async (port: number, key: string, random: Random, isStopping: () => boolean): Promise<Subscribed> => {
  let received = 0
  let lost = 0
  let next: number | undefined
  let pings = 0
  let onPong = () => {}
  // Of what it says nobody reads the one, and drains the other, which may be as much as it likes.
  const [kind, words] = pick(random, [[1, ["push", 1]], [1, ["drained", 300]]] as const)
  const guest = await dial(port, `/life/${kind}?key=${key}`, {
    message: (seq) => {
      if (next !== undefined && seq !== next) lost += Math.max(1, seq - next)
      next = seq + 1
      received++
    },
    pong: () => onPong()
  })
  const until = now() + between(random, 3000, 15_000)
  while (now() < until && !isStopping()) {
    const answered = new Promise<void>((resolve) => {
      onPong = resolve
    })
    for (let i = 0; i < words; i++) guest.socket.write(word)
    guest.socket.write(frame(0x80 | opcodes.ping, "are you there?"))
    await within(patienceMillis, `${kind}: a Ping was not answered`, guest, Promise.race([answered, guest.closed]))
    if (guest.socket.closed) throw new Error(`${kind}: the connection ended although its client is there`)
    pings++
    await pause(between(random, 200, 1000))
  }
  const way = pick(random, ways)
  return { departure: { key, kind, way, at: await leave(guest, way) }, received, lost, pings }
}
