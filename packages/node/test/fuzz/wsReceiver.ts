/**
 * The same bytes for `ws` and for us. Both must see the same messages, control frames, Close and violations, but where
 * we are stricter on purpose:
 *
 * | what a peer sends                                   | ws                            | here                            |
 * |------------------------------------------------------|-------------------------------|---------------------------------|
 * | a length that is not in its shortest form            | taken                         | 1002 (RFC 6455 §5.2)            |
 * | a 64-bit length with its highest bit set             | 1009                          | 1002 (§5.2)                     |
 * | text that is not UTF-8                               | 1007 once the message is whole | 1007 at the first byte that proves it (§8.1) |
 * | a rule broken by the first byte of a frame           | told with the second          | told with the first             |
 * | a Close of one byte                                  | told by the header            | told once the byte has come     |
 * | a message above the limit                            | told before the mask key      | told once the header is whole   |
 * | too many fragments                                   | 1008 once the last is whole   | 1009 by its header              |
 *
 * Fragments that are charged more than they carry (`fragments.charge`) are turned off, since `ws` has nothing like it.
 */
import { createRequire } from "node:module"
import { concat, stream } from "../../../core/test/fuzz/Grammar.ts"
import { chop, isTyped, type Outcome, receive, type Role } from "../../../core/test/fuzz/receiving.ts"
import { Choices, expect, same, sameAll, show, type Target } from "../../../core/test/fuzz/Target.ts"

/** What is used of it; its types do not tell of the Receiver. */
interface WsReceiver {
  readonly on: (event: "message" | "ping" | "pong" | "conclude", listener: (...args: ReadonlyArray<never>) => void) => void
  readonly _write: (chunk: Buffer, encoding: string, done: (error?: Error) => void) => void
}

interface WsOptions {
  readonly isServer: boolean
  readonly maxPayload: number
  readonly maxFragments: number
}

const { Receiver } = createRequire(import.meta.url)("ws") as { readonly Receiver: new(options: WsOptions) => WsReceiver }

/** Where `ws` keeps the code to close with: under a symbol of its own. */
const statusCode = (error: Error): number => {
  const symbol = Object.getOwnPropertySymbols(error).find(({ description }) => description === "status-code")
  return symbol === undefined ? 0 : Reflect.get(error, symbol) as number
}

interface WsOutcome {
  readonly messages: Array<string | Uint8Array>
  readonly pings: Array<Uint8Array>
  readonly pongs: Array<Uint8Array>
  close: { readonly code: number; readonly reason: string } | undefined
  violation: number | undefined
}

const limits = { maxMessageSize: 300, fragments: { max: 4, charge: 0 } }

const plain = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes)

/** Synchronously, past `Writable`, which would report an error in a later turn. */
const receiveByWs = (chunks: ReadonlyArray<Uint8Array>, role: Role): WsOutcome => {
  const outcome: WsOutcome = { messages: [], pings: [], pongs: [], close: undefined, violation: undefined }
  const receiver = new Receiver({
    isServer: role === "server",
    maxPayload: limits.maxMessageSize,
    maxFragments: limits.fragments.max
  })
  receiver.on("message", (data: Buffer, isBinary: boolean) => {
    outcome.messages.push(isBinary ? plain(data) : data.toString("utf8"))
  })
  receiver.on("ping", (data: Buffer) => outcome.pings.push(plain(data)))
  receiver.on("pong", (data: Buffer) => outcome.pongs.push(plain(data)))
  receiver.on("conclude", (code: number, reason: Buffer) => {
    outcome.close = { code, reason: reason.toString("utf8") }
  })
  for (const chunk of chunks) {
    if (outcome.violation !== undefined || outcome.close !== undefined) break
    receiver._write(Buffer.from(chunk), "buffer", (error) => {
      if (error !== undefined && error !== null) outcome.violation = statusCode(error)
    })
  }
  return outcome
}

const startsWith = (all: ReadonlyArray<string | Uint8Array>, start: ReadonlyArray<string | Uint8Array>): boolean =>
  all.length >= start.length && start.every((item, i) => same(item, all[i]))

/** Throws where the two differ and the table above does not say why. */
const compare = (ours: Outcome, theirs: WsOutcome): void => {
  const { ending } = ours
  expect(isTyped(ending), () => "an untyped ending")
  const tell = () =>
    `ours ${show(ours.messages)} ${ending?._tag === "Violation" ? `${ending.error.code} ${ending.error.rule}` : JSON.stringify(ending)}; ` +
    `ws ${show(theirs.messages)} ${JSON.stringify(theirs.close)} ${theirs.violation}`
  if (ending?._tag !== "Violation") {
    expect(sameAll(ours.messages, theirs.messages), tell)
    expect(sameAll(ours.pings, theirs.pings) && sameAll(ours.pongs, theirs.pongs), tell)
    if (ending === undefined) {
      // Told by an unfinished frame: a Close of one byte, a length above the limit.
      const early = ours.partial && (theirs.violation === 1002 || theirs.violation === 1009)
      expect(theirs.close === undefined && (theirs.violation === undefined || early), tell)
    } else {
      expect(theirs.close?.code === ending.code && theirs.close.reason === ending.reason, tell)
    }
    return
  }
  const { code, rule } = ending.error
  expect(startsWith(theirs.pings, ours.pings) && startsWith(theirs.pongs, ours.pongs), tell)
  switch (rule) {
    case "LengthNotMinimal":
      expect(startsWith(theirs.messages, ours.messages), tell)
      return
    case "LengthHighBit":
      expect(sameAll(theirs.messages, ours.messages) && theirs.violation !== 1007, tell)
      return
    case "InvalidUtf8":
      // It never becomes a message, whatever comes between its first bad byte and its end.
      expect(sameAll(theirs.messages, ours.messages), tell)
      return
    case "TooManyFragments":
      expect(sameAll(theirs.messages, ours.messages), tell)
      expect(theirs.violation === 1008 || theirs.violation === 1009 || theirs.violation === undefined, tell)
      return
    default:
      expect(sameAll(theirs.messages, ours.messages) && theirs.close === undefined, tell)
      // ws may lack the second byte of the header, or the rest of the frame, to say so.
      expect(theirs.violation === code || theirs.violation === undefined, tell)
      expect(theirs.violation !== undefined || ["ReservedBit", "ReservedOpcode", "ControlFragmented"].includes(rule), tell)
  }
}

export const wsReceiver: Target = {
  name: "ws",
  generate: (random) => {
    const head = random.bytes(3)
    return concat([head, stream(random, head[0] % 2 === 0 ? "client" : "server")])
  },
  run: (input) => {
    const choices = new Choices(input)
    const role = choices.pick(["server", "client"] as const)
    const seed = choices.byte() * 256 + choices.byte()
    const bytes = choices.rest()
    const ours = receive(chop(bytes, seed), { role, limits, owner: seed % 2 === 0 ? "owned" : "shared", reader: "message" })
    compare(ours, receiveByWs(chop(bytes, seed + 1), role))
  }
}
