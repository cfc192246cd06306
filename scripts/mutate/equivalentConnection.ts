/** Those of `connection`: see `equivalent.ts`. */
import type { Equivalent } from "./mutants.ts"

export const connection: ReadonlyArray<Equivalent> = [
  {
    file: "packages/core/src/connection/Link.ts",
    line: "if (this.accounted > 0) this.account()",
    change: [[">", ">="], ["this.accounted > 0", "true"]],
    why: "spares a look at what is held: reading lessens it, and from less than a page there is nothing to give back"
  },
  {
    file: "packages/core/src/connection/LinkClosing.ts",
    line: "if (this.goneAt === undefined) this.#over()",
    change: [["this.goneAt === undefined", "true"]],
    why: "spares the steps of the end a second time: each of them is taken once"
  },
  {
    file: "packages/core/src/connection/ByteLink.ts",
    line: "this.fannedOut = -1",
    change: [["1", "2"], ["-", ""]],
    why: "any number that is no size of frames says that none wait for a turn"
  },
  {
    file: "packages/core/src/connection/LinkClosing.ts",
    line: "this.#hasTold = true",
    why: "spares telling again: listeners are called once and then gone"
  },
  {
    file: "packages/core/src/connection/Reader.ts",
    line: "const never = (): boolean => false",
    why: "what is waited for is set together with who waits"
  },
  {
    file: "packages/core/src/connection/Relay.ts",
    line: "private at = 0",
    why: "whoever takes a batch sets it; of the empty one nothing is sent"
  },
  {
    file: "packages/core/src/connection/StreamedMessage.ts",
    line: "if ((to - from) * 3 > size && byteLength(payload.slice(from, to)) > size)",
    change: [["-", "+"], ["(to - from) * 3 > size", "true"]],
    why: "spares the counting of bytes where there cannot be too many"
  },
  {
    file: "packages/core/src/connection/Pings.ts",
    line: "if (this.due === undefined) return",
    change: [["this.due === undefined", "false"]],
    why: "for the type checker: a Pong that is awaited has a time, and reading is not paused while the connection closes"
  },
  {
    file: "packages/core/src/connection/Pings.ts",
    line: "view.setUint32(0, this.counter++)",
    change: [["++", "--"]],
    why: "another number each time, whichever way it counts"
  },
  {
    file: "packages/core/src/connection/Link.ts",
    line: "let opened = 0",
    why: "numbers that grow, wherever they begin"
  },
  {
    file: "packages/core/src/connection/ByteLink.ts",
    line: "this.flushScheduled = true",
    why: "spares a flush that has nothing to write"
  },
  {
    file: "packages/core/src/connection/MessageLink.ts",
    line: "this.flushScheduled = true",
    why: "spares a flush that has nothing to write"
  },
  {
    file: "packages/core/src/connection/Link.ts",
    line: "protected isLooking = false",
    why: "matters while messages wait, and their input sets it"
  },
  {
    file: "packages/core/src/connection/LinkClosing.ts",
    line: "if (!this.#isSent) {",
    change: [["!this.#isSent", "true"]],
    why: "a Close is sent once, and senders that waited were told; an idle streamed message is no reason to wait, " +
      "but whatever arrives then takes the steps that are left"
  },
  {
    file: "packages/core/src/connection/Reader.ts",
    line: "handedOut = 0",
    why: "the grace of a handler is that of one message at least, so that none and one are the same"
  },
  {
    file: "packages/core/src/connection/SlowConsumer.ts",
    line: "if (sent !== Effect.void) {",
    change: [["sent !== Effect.void", "true"]],
    why: "spares an effect for each message that need not wait"
  },
  {
    file: "packages/core/src/connection/Telemetry.ts",
    line: "lastCurrent = current",
    change: [["lastCurrent = current", "void 0"]],
    why: "what is kept then is never used, and what is chosen anew is the same"
  },
  {
    file: "packages/core/src/connection/Telemetry.ts",
    line: "return lastChosen ??= chosenOf(current, own)",
    change: [["??=", "="]],
    why: "spares a choice that comes out the same"
  },
  {
    file: "packages/core/src/connection/MessageWatch.ts",
    line: "private stoodStill = false",
    why: "`begin` sets it before it is read"
  },
  {
    file: "packages/core/src/connection/Writer.ts",
    line: "if (this.queue.length === 1) this.onWritable()",
    change: [["this.queue.length === 1", "true"]],
    why: "spares an attempt of the first sender, which waits because it could not continue"
  },
  {
    file: "packages/core/src/connection/Lifetime.ts",
    line: "this.end()",
    after: "if (due > deadlines.now())",
    why: "spares a second interruption, which does nothing"
  },
  {
    file: "packages/core/src/connection/LinkClosing.ts",
    line: "if (this.#hasTold) return",
    change: [["this.#hasTold", "false"]],
    why: "spares telling again: listeners are called once and then gone"
  },
  {
    file: "packages/core/src/connection/MessageWatch.ts",
    line: "private received = 0",
    why: "`begin` sets it before it is read"
  },
  {
    file: "packages/core/src/connection/MessageWatch.ts",
    line: "private message = 0",
    why: "`begin` sets it before it is read"
  },
  {
    file: "packages/core/src/connection/ByteOutput.ts",
    line: "const noBytes = new Uint8Array(0)",
    why: "only its size counts, and a byte is as little as none"
  },
  {
    file: "packages/core/src/connection/Writer.ts",
    line: "if (!this.isFree || this.isStreaming || !link.isOpen) return from",
    change: [["!this.isFree || this.isStreaming || !link.isOpen", "true"]],
    why: "a shorter way for many messages: one after the other is sent alike"
  },
  {
    file: "packages/core/src/connection/StreamedMessage.ts",
    line: "kind === \"text\" ? pairs.carry : noBytes",
    change: [["kind === \"text\"", "true"]],
    why: "of bytes nothing is carried over: the last fragment is empty either way"
  },
  {
    file: "packages/core/src/connection/StreamedMessage.ts",
    line: "if (exit !== undefined) return resume(exit)",
    change: [["exit !== undefined", "false"]],
    why: "a fiber that has ended calls its observers at once"
  },
  {
    file: "packages/core/src/connection/StreamedMessage.ts",
    line: "const slice = from === 0 && end ? payload : part(payload, from, to)",
    change: [["from === 0 && end", "false"], ["0", "1"]],
    why: "spares a view of the whole"
  },
  {
    file: "packages/core/src/connection/StreamedMessage.ts",
    line: "typeof payload === \"string\" ? payload.slice(from, to) : payload.subarray(from, to)",
    change: [["typeof payload === \"string\"", "true"]],
    why: "spares a copy: its bytes are the same"
  },
  {
    file: "packages/core/src/connection/Telemetry.ts",
    line: "if (own !== undefined) return chosenOf(current, own)",
    change: [["own !== undefined", "true"]],
    why: "spares a choice for each connection, which comes out the same"
  },
  {
    file: "packages/core/src/connection/Telemetry.ts",
    line: "if (lastCurrent !== current) lastChosen = undefined",
    change: [["lastCurrent !== current", "true"]],
    why: "spares a choice for each connection, which comes out the same"
  },
  {
    file: "packages/core/src/connection/Telemetry.ts",
    line: "let lastIsLogged = false",
    why: "the first comparison sets it before it is read"
  },
  {
    file: "packages/core/src/connection/Telemetry.ts",
    line: "if (logLevel !== lastLevel || minimum !== lastMinimum) {",
    change: [["logLevel !== lastLevel || minimum !== lastMinimum", "true"]],
    why: "spares a comparison, which comes out the same"
  },
  {
    file: "packages/core/src/connection/Telemetry.ts",
    line: "lastLevel = logLevel",
    change: [["lastLevel = logLevel", "void 0"]],
    why: "spares a comparison, which comes out the same"
  },
  {
    file: "packages/core/src/connection/Telemetry.ts",
    line: "lastMinimum = minimum",
    change: [["lastMinimum = minimum", "void 0"]],
    why: "spares a comparison, which comes out the same"
  },
  {
    file: "packages/core/src/connection/Telemetry.ts",
    line: "if (attributes === undefined) return undefined",
    change: [["attributes === undefined", "false"]],
    why: "spares an effect that does nothing"
  },
  {
    file: "packages/core/src/connection/Telemetry.ts",
    line: "if (open !== undefined || log !== undefined) link.observer = new OwnAccount(meter, open, log)",
    change: [["open !== undefined || log !== undefined", "true"]],
    why: "spares an account of nothing but the meter"
  },
  {
    file: "packages/core/src/connection/Meter.ts",
    line: "const manyLinks = 1000",
    why: "from how many on they are added up once is a matter of cost"
  },
  {
    file: "packages/core/src/connection/FramePieces.ts",
    line: "link.flushAnswers()",
    why: "spares a wait: what was sent is written at the end of this run of JavaScript"
  },
  {
    file: "packages/core/src/connection/ByteOutput.ts",
    line: "return this.inFlight > 0 ? this.transport.pendingBytes?.() ?? 0 : 0",
    change: [[">", ">="], ["this.inFlight > 0", "true"]],
    why: "spares a question to the transport, of which nothing is in flight"
  },
  {
    file: "packages/core/src/connection/Link.ts",
    line: "for (const timer of this.timers) if (this.broken === undefined && !this.gone) timer?.onAlarm(now)",
    change: [["this.broken === undefined && !this.gone", "true"]],
    why: "spares timers that were stopped with the connection: nothing of theirs is due"
  },
  {
    file: "packages/core/src/connection/Reader.ts",
    line: "if (link.protocol.messages.length === 0) return false",
    change: [["link.protocol.messages.length === 0", "true"]],
    why: "spares a wait, which would end at once"
  },
  {
    file: "packages/core/src/connection/ByteLink.ts",
    line: "return decoding === undefined || encoding === undefined ? undefined : {",
    change: [["||", "&&"]],
    why: "an extension has both"
  },
  {
    file: "packages/core/src/connection/ByteLink.ts",
    line: "if (this.isTaking || (this.flushScheduled && !this.isFannedOut)) return",
    change: [["this.isTaking || (this.flushScheduled && !this.isFannedOut)", "false"]],
    why: "spares a flush that has nothing to write"
  },
  {
    file: "packages/core/src/connection/Lifetime.ts",
    line: "if (connection.link.isClosing) handler.advance(connection, false)",
    change: [["connection.link.isClosing", "true"]],
    why: "nothing is due where a connection is open"
  },
  {
    file: "packages/core/src/connection/Lifetime.ts",
    line: "if (connection.link.isClosing) other.advance(connection, false)",
    change: [["connection.link.isClosing", "true"]],
    why: "nothing is due where a connection is open"
  },
  {
    file: "packages/core/src/connection/MessageLink.ts",
    line: "if (!this.gone && this.broken === undefined) this.#passed()",
    change: [["!this.gone && this.broken === undefined", "true"]],
    why: "nothing waits for room once the connection has ended"
  },
  {
    file: "packages/core/src/connection/Link.ts",
    line: "if (this.closing !== undefined) this.updateAlarm()",
    change: [["this.closing !== undefined", "true"]],
    why: "spares setting an alarm anew"
  },
  {
    file: "packages/core/src/connection/Relay.ts",
    line: "private isSending = false",
    why: "`send` sets it before it is read"
  },
  {
    file: "packages/core/src/connection/Meter.ts",
    line: "this.shared = sums",
    change: [["this.shared = sums", "void 0"]],
    why: "spares adding up once more for each metric of a snapshot"
  },
  {
    file: "packages/core/src/connection/Metrics.ts",
    line: "incremental: true",
    why: "the meter says so with each value"
  },
  {
    file: "packages/core/src/connection/Reader.ts",
    line: "if (busy !== undefined) return busy",
    after: "takeOne(): Pull.Pull",
    change: [["busy !== undefined", "false"]],
    why: "while another waits there is no message, and one that has to wait finds the other once more"
  },
  {
    file: "packages/core/src/connection/Writer.ts",
    line: "if (next > from) link.scheduleFlush()",
    change: [[">", ">="], ["next > from", "true"]],
    why: "spares a flush that has nothing to write"
  },
  {
    file: "packages/core/src/connection/Reader.ts",
    line: "return true",
    after: "if (link.protocol.messages.length === 0) return false",
    change: [["true", "false"]],
    why: "spares a wait, which would end at once"
  }
]
