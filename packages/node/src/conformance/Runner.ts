/**
 * Plays one case against one subject and judges it, or all cases with a bounded
 * number at a time.
 */
import type { Case, Chop, Expected, Script, Step } from "./cases/Case.ts"
import { clean, close } from "./cases/Case.ts"
import { connect, listen, type Noted, type Peer, type Target } from "./Peer.ts"
import { Binary, Close, encode, encodePart, type FrameSpec } from "./wire/Frames.ts"

/**
 * An echo server that is running: text comes back as text, binary as binary;
 * 16 MiB a message and 65,536 fragments are within its limits; no extension,
 * unless it is for the cases that negotiate one: then permessage-deflate, for messages of every size.
 */
export interface ServerSubject extends Target {}

/** Starts an echo client and resolves (or rejects: that is not judged) once its connection is closed. */
export interface ClientSubject {
  readonly connect: (url: string) => Promise<void>
}

/** UNIMPLEMENTED: the case is about an extension that the subject declined. */
type Behaviour = "OK" | "NON-STRICT" | "INFORMATIONAL" | "UNIMPLEMENTED" | "FAILED"
type CloseBehaviour = "OK" | "INFORMATIONAL" | "WRONG CODE" | "UNCLEAN" | "FAILED"

/**
 * What a case says in one word.
 *
 * - `OK`: as the RFC wants it, strictly.
 * - `NON-STRICT`: allowed, but less than can be had: invalid UTF-8 that is noticed only at the end of a message, a
 *   violation answered by dropping TCP without a Close frame, compression that compresses nothing.
 * - `INFORMATIONAL`: nothing is asked for; the message says what happened.
 * - `UNIMPLEMENTED`: the case is about an extension that the subject declined.
 * - `FAILED`: the RFC is broken.
 */
export type Verdict = "OK" | "NON-STRICT" | "INFORMATIONAL" | "UNIMPLEMENTED" | "FAILED"

export interface Result {
  readonly id: string
  readonly verdict: Verdict
  readonly behaviour: Behaviour
  readonly closeBehaviour: CloseBehaviour
  /** The code of the subject's Close frame. */
  readonly code: number | undefined
  readonly ms: number
  /** Why it is not full marks; empty otherwise. */
  readonly message: string
}

export interface Deadlines {
  readonly handshake: number
  /** For the events of the case, and for the Close that ends it. */
  readonly exchange: number
  /** From the subject's Close to the end of TCP. */
  readonly tcp: number
}

/** How a case is played. */
export interface RunOptions {
  /** In place of those that the suite has for its light and its heavy cases. */
  readonly deadlines?: Deadlines | undefined
  /** Whether the cases with compression send all their messages, or a sample of them. Default false. */
  readonly inFull?: boolean | undefined
}

// Nothing waits this long unless it has failed; they are generous because a busy machine is no violation.
const light: Deadlines = { handshake: 5_000, exchange: 5_000, tcp: 5_000 }
const heavy: Deadlines = { handshake: 5_000, exchange: 60_000, tcp: 10_000 }

interface Pace {
  readonly deadlines: Deadlines
  readonly inFull: boolean
}

const paceOf = (item: Case, { deadlines, inFull }: RunOptions): Pace => ({
  deadlines: deadlines ?? (item.heavy === true ? heavy : light),
  inFull: inFull === true
})

const sendFrames = async (peer: Peer, frames: ReadonlyArray<FrameSpec>, chop: Chop): Promise<void> => {
  const masked = peer.plays === "client"
  if (frames.some((frame) => frame.opcode === Close)) peer.closeSent = true
  if (chop === "together") {
    await peer.write(encode(frames, masked))
  } else if (chop === "frames") {
    for (const frame of frames) {
      if (peer.isClosing) return
      const octets = encode([frame], masked)
      await peer.writeChopped(octets, octets.length)
    }
  } else {
    await peer.writeChopped(encode(frames, masked), chop)
  }
}

const sendDeflated = async (peer: Peer, opcode: number, payload: Uint8Array, fragment: number): Promise<void> => {
  const frames = peer.deflater?.frames(opcode, payload, fragment) ?? [{ opcode, payload }]
  await peer.write(encode(frames, peer.plays === "client"))
}

const runEchoes = async (
  peer: Peer,
  step: Extract<Step, { readonly _tag: "Echoes" }>,
  { deadlines, inFull }: Pace
): Promise<void> => {
  const kept = peer.events.length
  const count = inFull ? step.count : step.sample
  for (let index = 0; index < count; index++) {
    const payload = step.message(index)
    await sendDeflated(peer, step.opcode, payload, step.fragment)
    const met = await peer.until(() => peer.events.length > kept || peer.isClosing, deadlines.exchange)
    if (!met) peer.note(`no echo ${index + 1} in time`)
    if (peer.isClosing) return
    const event = peer.events[kept]!
    const expected: Expected = { _tag: "Message", binary: step.opcode === Binary, payload }
    // What is left here is judged as an event that should not be.
    if (!same(event, expected)) return
    peer.events.splice(kept, 1)
  }
}

const runStep = async (peer: Peer, step: Step, pace: Pace): Promise<void> => {
  switch (step._tag) {
    case "Frames":
      return await sendFrames(peer, step.frames, step.chop)
    case "Part":
      return await peer.write(encodePart(step, peer.partKey))
    case "Deflated":
      return await sendDeflated(peer, step.opcode, step.payload, step.fragment)
    case "Echoes":
      return await runEchoes(peer, step, pace)
    case "Wait":
      if (!(await peer.until(() => peer.isClosing, step.ms))) peer.note(step.name)
      return
    case "Await": {
      const met = await peer.until(() => peer.events.length >= step.events || peer.isClosing, pace.deadlines.exchange)
      if (!met) peer.note(`no ${step.name} in time`)
      return
    }
  }
}

const play = async (peer: Peer, script: Script, pace: Pace): Promise<void> => {
  const { deadlines } = pace
  for (const step of script.steps) {
    if (peer.isClosing) break
    await runStep(peer, step, pace)
  }
  if (script.close.by === "suite" && !peer.closeSent) {
    await peer.until(() => peer.events.length >= script.ok.length || peer.isClosing, deadlines.exchange)
    if (!peer.isClosing) await sendFrames(peer, [close(1000)], "together")
  }
  await peer.until(() => peer.isClosing, deadlines.exchange)
  if (peer.closeReceived !== undefined) {
    if (!peer.closeSent) await sendFrames(peer, [close(peer.closeReceived.code)], "together")
    // The server closes TCP first (RFC 6455 §7.1.1): the suite only when it plays the server.
    if (peer.plays === "server") peer.end()
  }
  if (peer.isClosing) await peer.until(() => peer.gone, deadlines.tcp)
}

const shown = (event: Noted | Expected): string => {
  if (event._tag === "Timeout") return event.name
  const kind = event._tag === "Message" ? (event.binary ? "binary" : "text") : event._tag.toLowerCase()
  return `${kind} of ${event.payload.length}`
}

const list = (events: ReadonlyArray<Noted | Expected>): string =>
  events.length === 0
    ? "nothing"
    : events.slice(0, 5).map(shown).join(", ") + (events.length > 5 ? `, … (${events.length} in all)` : "")

const same = (noted: Noted, expected: Expected): boolean => {
  if (noted._tag === "Timeout") return expected._tag === "Timeout" && noted.name === expected.name
  if (expected._tag === "Timeout" || noted._tag !== expected._tag) return false
  if (noted._tag === "Message" && expected._tag === "Message" && noted.binary !== expected.binary) return false
  return noted.payload.equals(expected.payload)
}

const matches = (noted: ReadonlyArray<Noted>, expected: ReadonlyArray<Expected>): boolean =>
  noted.length === expected.length && noted.every((event, index) => same(event, expected[index]!))

const judgeEvents = (peer: Peer, script: Script): readonly [Behaviour, string] => {
  if (peer.faults.length > 0) return ["FAILED", `the subject sent ${peer.faults[0]}`]
  const difference = `expected ${list(script.ok)}, got ${list(peer.events)}`
  const behaviour = matches(peer.events, script.ok)
    ? "OK"
    : script.nonStrict !== undefined && matches(peer.events, script.nonStrict)
    ? "NON-STRICT"
    : "FAILED"
  if (behaviour === "FAILED") return [behaviour, difference]
  // A violation that nobody noticed is no small matter, whatever else came back.
  if (script.close.by === "subject" && !peer.isClosing) return ["FAILED", "the connection was not failed"]
  if (behaviour === "OK" && script.deflates === true && peer.inflated === 0) {
    return ["NON-STRICT", "no message came back compressed"]
  }
  return [behaviour, behaviour === "OK" ? "" : difference]
}

const judgeClose = (peer: Peer, script: Script): readonly [CloseBehaviour, string] => {
  const frame = peer.closeReceived
  if (frame === undefined) {
    if (!peer.ended) return ["FAILED", "no Close in time"]
    return ["UNCLEAN", `TCP ended without Close${peer.resetBy === undefined ? "" : ` (${peer.resetBy})`}`]
  }
  if (script.close.by === "suite" && peer.closedBySubject) {
    return ["FAILED", `the subject closed first, with ${frame.code ?? "no code"} ${frame.reason}`.trimEnd()]
  }
  if (!script.close.codes.includes(frame.code)) {
    const wanted = script.close.codes.map((code) => code ?? "no code").join(" or ")
    return ["WRONG CODE", `closed with ${frame.code ?? "no code"} instead of ${wanted}`]
  }
  if (!peer.gone) return ["UNCLEAN", "TCP was not closed after the closing handshake"]
  return ["OK", ""]
}

const judge = (item: Case, script: Script, peer: Peer, started: number): Omit<Result, "verdict"> => {
  const [behaviour, about] = judgeEvents(peer, script)
  const [closeBehaviour, aboutClose] = judgeClose(peer, script)
  const code = peer.closeReceived?.code
  const lenient = closeBehaviour === "WRONG CODE" && script.close.nonStrictCodes?.includes(code ?? 0) === true
  const full = behaviour === "OK" && closeBehaviour === "OK"
  const common = {
    id: item.id,
    code,
    ms: Math.round(performance.now() - started),
    message: [about, aboutClose].filter((part) => part !== "").join("; ")
  }
  if (item.informational === true && full) {
    return { ...common, behaviour: "INFORMATIONAL", closeBehaviour: "INFORMATIONAL" }
  }
  if (behaviour === "OK" && lenient) return { ...common, behaviour: "NON-STRICT", closeBehaviour: "OK" }
  return { ...common, behaviour, closeBehaviour }
}

/** Whether the subject is to fail the connection: for what was sent, or for the suite's Close itself. */
const isToFail = ({ close }: Script): boolean =>
  close.by === "subject" || !close.codes.some((code) => code === undefined || code === 1000)

const verdictOf = (item: Case, script: Script, { behaviour, closeBehaviour }: Omit<Result, "verdict">): Verdict => {
  if (item.informational === true) return "INFORMATIONAL"
  if (behaviour === "FAILED" || behaviour === "UNIMPLEMENTED") return behaviour
  // To fail a connection, an endpoint should send Close, and may leave it out (RFC 6455 §7.1.7).
  if (closeBehaviour === "UNCLEAN" && isToFail(script)) return "NON-STRICT"
  return closeBehaviour === "OK" ? behaviour : "FAILED"
}

const failed = (item: Case, started: number, message: string): Result => ({
  id: item.id,
  verdict: item.informational === true ? "INFORMATIONAL" : "FAILED",
  behaviour: "FAILED",
  closeBehaviour: "FAILED",
  code: undefined,
  ms: Math.round(performance.now() - started),
  message
})

const playAndJudge = async (item: Case, peer: Peer, started: number, pace: Pace): Promise<Result> => {
  const { negotiation } = item
  const isDeclined = negotiation !== undefined && negotiation.mayDecline !== true && peer.deflater === undefined
  const script = isDeclined ? clean([], []) : item.script()
  try {
    await play(peer, script, pace)
    const judged = judge(item, script, peer, started)
    const result: Omit<Result, "verdict"> = isDeclined && judged.behaviour === "OK"
      ? { ...judged, behaviour: "UNIMPLEMENTED", message: "permessage-deflate was declined" }
      : judged
    return { ...result, verdict: verdictOf(item, script, result) }
  } finally {
    peer.destroy()
  }
}

/** The subject is a server: the suite connects and plays the case. */
export const runServerCase = async (
  subject: ServerSubject,
  item: Case,
  options: RunOptions = {}
): Promise<Result> => {
  const started = performance.now()
  const pace = paceOf(item, options)
  try {
    const peer = await connect(subject, pace.deadlines.handshake, item.negotiation)
    return await playAndJudge(item, peer, started, pace)
  } catch (error) {
    return failed(item, started, `opening handshake: ${String(error)}`)
  }
}

/** The subject is a client that has just connected: `open` does the rest of the opening handshake. */
export const runAcceptedCase = async (
  open: (ms: number, item: Case) => Promise<Peer>,
  item: Case,
  options: RunOptions = {}
): Promise<Result> => {
  const started = performance.now()
  const pace = paceOf(item, options)
  try {
    return await playAndJudge(item, await open(pace.deadlines.handshake, item), started, pace)
  } catch (error) {
    return failed(item, started, `opening handshake: ${String(error)}`)
  }
}

/** The subject is a client: the suite listens, the client connects once and echoes until it is closed. */
export const runClientCase = async (
  subject: ClientSubject,
  item: Case,
  options: RunOptions = {}
): Promise<Result> => {
  const started = performance.now()
  const pace = paceOf(item, options)
  const { deadlines } = pace
  const listener = await listen(deadlines.handshake, item.negotiation)
  try {
    const settled = subject.connect(listener.url).then(() => true, () => true)
    const result = await playAndJudge(item, await listener.peer, started, pace)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), deadlines.tcp)
    })
    const ended = await Promise.race([settled, late])
    clearTimeout(timer)
    if (ended) return result
    return { ...result, verdict: "FAILED", closeBehaviour: "FAILED", message: "the client did not end with its connection" }
  } catch (error) {
    return failed(item, started, `opening handshake: ${String(error)}`)
  } finally {
    listener.close()
  }
}

/** Whether nothing better could be had in this case. */
export const isFull = (item: Case, result: Result): boolean =>
  item.informational === true
    ? result.behaviour === "INFORMATIONAL"
    : result.behaviour === "OK" && result.closeBehaviour === "OK"

/** The light cases first, many at a time, then the heavy ones in pairs, so that megabytes disturb no deadline. */
export const runAll = async (
  cases: ReadonlyArray<Case>,
  run: (item: Case) => Promise<Result>,
  atOnce = 8
): Promise<ReadonlyMap<string, Result>> => {
  const results = new Map<string, Result>()
  const pool = async (items: ReadonlyArray<Case>, size: number): Promise<void> => {
    const queue = items.values()
    const worker = async () => {
      for (const item of queue) results.set(item.id, await run(item))
    }
    await Promise.all(Array.from({ length: size }, worker))
  }
  await pool(cases.filter((item) => item.heavy !== true), atOnce)
  await pool(cases.filter((item) => item.heavy === true), 2)
  return results
}
