/**
 * What a stream of bytes means, by RFC 6455, written to be obviously right and not to be quick: all bytes are there
 * at once, every frame is an object, text is judged by the platform's `TextDecoder`. It shares no code with the
 * implementation; the differential runs hold both against each other, and both against `ws`.
 */
export interface Limits {
  readonly maxMessageSize: number
  readonly fragments: { readonly charge: number; readonly max: number }
}

export interface Meaning {
  readonly messages: Array<string | Uint8Array>
  readonly pings: Array<Uint8Array>
  readonly pongs: Array<Uint8Array>
  /** A Close (with its reason), or the close code that a broken rule demands; it is the last thing that is read. */
  ending: { readonly code: number; readonly reason: string } | { readonly violation: number } | undefined
  /**
   * The code of a rule that the bytes of an unfinished frame break already: it may be reported now or once the frame's
   * header is whole.
   */
  early: number | undefined
  /** The bytes end inside a frame or a message. */
  partial: boolean
}

export interface Frame {
  readonly fin: boolean
  readonly rsv: number
  readonly opcode: number
  readonly payload: Uint8Array
}

interface Header {
  readonly size: number
  readonly length: bigint
  readonly masked: boolean
}

/** The header at the front, if all of it is there (§5.2). */
const readHeader = (bytes: Uint8Array): Header | undefined => {
  if (bytes.length < 2) return undefined
  const masked = bytes[1] >= 0x80
  const short = bytes[1] % 0x80
  const lengthSize = short === 127 ? 8 : short === 126 ? 2 : 0
  const size = 2 + lengthSize + (masked ? 4 : 0)
  if (bytes.length < size) return undefined
  let length = lengthSize === 0 ? BigInt(short) : 0n
  for (const byte of bytes.subarray(2, 2 + lengthSize)) length = length * 256n + BigInt(byte)
  return { size, length, masked }
}

/** Whether the bytes of a header, perhaps not all of them, break a rule that needs no context (§5.1, §5.2, §5.5). */
const breaksHeader = (bytes: Uint8Array, role: "client" | "server", claimed: number): boolean => {
  if (bytes.length === 0) return false
  const rsv = (bytes[0] >> 4) & 7
  const opcode = bytes[0] & 15
  if ((rsv & ~claimed) !== 0) return true
  if (![0, 1, 2, 8, 9, 10].includes(opcode)) return true
  if (opcode >= 8 && bytes[0] < 0x80) return true
  if (bytes.length === 1) return false
  const short = bytes[1] % 0x80
  if (opcode >= 8 && short > 125) return true
  if (bytes[1] >= 0x80 !== (role === "server")) return true
  if (short === 126 && bytes.length >= 4 && bytes[2] * 256 + bytes[3] < 126) return true
  if (short === 127 && bytes.length >= 3 && bytes[2] >= 0x80) return true
  return short === 127 && bytes.length >= 8 && bytes.subarray(2, 8).every((byte) => byte === 0)
}

const unmasked = (header: Header, bytes: Uint8Array): Uint8Array => {
  const available = bytes.subarray(header.size)
  const payload = header.length < BigInt(available.length) ? available.subarray(0, Number(header.length)) : available
  if (!header.masked) return Uint8Array.from(payload)
  const key = bytes.subarray(header.size - 4, header.size)
  return payload.map((byte, i) => byte ^ key[i % 4])
}

const strict = () => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The text, or why there is none: `"invalid"` whatever follows, `"incomplete"` while more may follow. */
const readText = (bytes: Uint8Array): { readonly text: string } | "invalid" | "incomplete" => {
  try {
    return { text: strict().decode(bytes) }
  } catch {
    // As a stream it fails only on what no continuation can save.
    try {
      strict().decode(bytes, { stream: true })
      return "incomplete"
    } catch {
      return "invalid"
    }
  }
}

const isCloseCode = (code: number): boolean =>
  [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014].includes(code) ||
  (code >= 3000 && code <= 4999)

const join = (a: Uint8Array, b: Uint8Array): Uint8Array => {
  const joined = new Uint8Array(a.length + b.length)
  joined.set(a)
  joined.set(b, a.length)
  return joined
}

export const read = (bytes: Uint8Array, role: "client" | "server", limits: Limits): Meaning => {
  const meaning: Meaning = { messages: [], pings: [], pongs: [], ending: undefined, early: undefined, partial: false }
  let message: { readonly text: boolean; bytes: Uint8Array; charged: number; frames: number } | undefined
  const fail = (violation: number): Meaning => {
    meaning.ending = { violation }
    return meaning
  }
  for (let at = 0; at < bytes.length;) {
    const rest = bytes.subarray(at)
    if (breaksHeader(rest, role, 0)) return fail(1002)
    const header = readHeader(rest)
    if (header === undefined) {
      meaning.partial = true
      const opcode = rest[0] & 15
      if (opcode < 8 && (opcode === 0) === (message === undefined)) meaning.early = 1002
      return meaning
    }
    const fin = rest[0] >= 0x80
    const opcode = rest[0] & 15
    const payload = unmasked(header, rest)
    const whole = BigInt(payload.length) === header.length
    if (opcode >= 8) {
      // One byte cannot be a code (§5.5.1); it is told by the header, or once it has come.
      if (opcode === 8 && header.length === 1n) {
        if (whole) return fail(1002)
        meaning.early = 1002
      }
      if (!whole) {
        meaning.partial = true
        return meaning
      }
      if (opcode === 9) meaning.pings.push(payload)
      else if (opcode === 10) meaning.pongs.push(payload)
      else if (payload.length === 0) meaning.ending = { code: 1005, reason: "" }
      else {
        const code = payload[0] * 256 + payload[1]
        if (!isCloseCode(code)) return fail(1002)
        const reason = readText(payload.subarray(2))
        if (typeof reason === "string") return fail(1007)
        meaning.ending = { code, reason: reason.text }
      }
      if (meaning.ending !== undefined) return meaning
    } else {
      // §5.4: a continuation inside a message only, and nothing else there.
      if ((opcode === 0) === (message === undefined)) return fail(1002)
      const current = message ?? { text: opcode === 1, bytes: new Uint8Array(0), charged: 0, frames: 0 }
      const charge = fin ? header.length : header.length > limits.fragments.charge ? header.length : BigInt(limits.fragments.charge)
      if (current.frames >= limits.fragments.max) return fail(1009)
      if (BigInt(current.charged) + charge > limits.maxMessageSize) return fail(1009)
      message = {
        ...current,
        bytes: join(current.bytes, payload),
        charged: current.charged + Number(charge),
        frames: current.frames + 1
      }
      const text = message.text ? readText(message.bytes) : undefined
      if (text === "invalid") return fail(1007)
      if (!whole) {
        meaning.partial = true
        return meaning
      }
      if (fin) {
        if (text === "incomplete") return fail(1007)
        meaning.messages.push(text === undefined ? message.bytes : text.text)
        message = undefined
      }
    }
    at += header.size + payload.length
  }
  meaning.partial = message !== undefined
  return meaning
}

/** The frames of bytes that must be whole frames without a fault; `undefined` if they are not. */
export const readFrames = (bytes: Uint8Array, role: "client" | "server"): Array<Frame> | undefined => {
  const frames: Array<Frame> = []
  for (let at = 0; at < bytes.length;) {
    const rest = bytes.subarray(at)
    const header = readHeader(rest)
    if (header === undefined || breaksHeader(rest.subarray(0, header.size), role, 0)) return undefined
    const payload = unmasked(header, rest)
    if (BigInt(payload.length) !== header.length) return undefined
    frames.push({ fin: rest[0] >= 0x80, rsv: (rest[0] >> 4) & 7, opcode: rest[0] & 15, payload })
    at += header.size + payload.length
  }
  return frames
}

/** What happened on a connection that matters to its end, in order. */
export type Happening =
  /** Our Close was appended to the output. */
  | { readonly what: "sent"; readonly code: number; readonly reason: string }
  /** The peer's Close was received. */
  | { readonly what: "received"; readonly code: number; readonly reason: string }
  /** The peer broke a rule. */
  | { readonly what: "violation" }
  /** The peer's stream ended. */
  | { readonly what: "ended" }

const first = <W extends Happening["what"]>(
  happenings: ReadonlyArray<Happening>,
  what: W
): Extract<Happening, { readonly what: W }> | undefined =>
  happenings.find((one): one is Extract<Happening, { readonly what: W }> => one.what === what)

/** How the connection closed (§7.1.4 to §7.1.6), as far as it is known. */
export const closeInfoOf = (happenings: ReadonlyArray<Happening>) => {
  const closes = happenings.filter((one) => one.what === "sent" || one.what === "received")
  // §7.1.5, §7.1.6: code and reason are those of the first Close frame; without one the code is 1006.
  const [one] = closes
  const sent = first(happenings, "sent")
  const received = first(happenings, "received")
  return {
    code: one?.code ?? 1006,
    reason: one?.reason ?? "",
    initiator: one?.what === "sent" ? "local" : "remote",
    clean: sent !== undefined && received !== undefined,
    sent: sent === undefined ? undefined : { code: sent.code, reason: sent.reason },
    received: received === undefined ? undefined : { code: received.code, reason: received.reason }
  }
}

/** Who drives a connection: it is asked what to do with the transport, and what it was told to do is done. */
export class ClosingReference {
  private readonly role: "client" | "server"
  private hasEnded = false
  private isDestroyed = false

  constructor(role: "client" | "server") {
    this.role = role
  }

  /** `isWritten`: the transport has taken everything. */
  next(happenings: ReadonlyArray<Happening>, isWritten: boolean): "nothing" | "end" | "destroy" {
    const has = (what: Happening["what"]): boolean => first(happenings, what) !== undefined
    const isSent = has("sent")
    const isAnswered = has("received") || has("violation")
    // A stream that ended without a Close leaves nothing to wait for; an end that was not processed yet does.
    if (!isSent) return has("ended") && !isAnswered ? "destroy" : "nothing"
    if (this.isDestroyed || !isWritten) return "nothing"
    // §7.1.1: TCP is closed once both sides have closed.
    if (has("ended")) {
      this.isDestroyed = this.hasEnded = true
      return "destroy"
    }
    // §7.1.1: the server closes first; §7.1.7: after a violation either does.
    const isBroken = happenings.find(({ what }) => what === "received" || what === "violation")?.what === "violation"
    if (!this.hasEnded && isAnswered && (isBroken || this.role === "server")) {
      this.hasEnded = true
      return "end"
    }
    return "nothing"
  }
}
