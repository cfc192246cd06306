/** Mutants that no test can notice, because the program means the same, each with the reason. */
export interface Equivalent {
  readonly file: string
  /** A part of the line. */
  readonly line: string
  /** A part of one of the three lines before it, where several lines of the file are the same. */
  readonly after?: string
  /** What is changed there to what; left out: whatever is changed. */
  readonly change?: ReadonlyArray<readonly [from: string, to?: string]>
  readonly why: string
}

export const equivalents: ReadonlyArray<Equivalent> = [
  {
    file: "packages/core/src/codec/FrameHeader.ts",
    line: "fin = false",
    why: "the first byte of a header sets it before it is read"
  },
  {
    file: "packages/core/src/codec/FrameHeader.ts",
    line: "} else if (at === 7) {",
    change: [["at === 7", "true"]],
    why: "a length is read once its header is complete: only its last byte counts"
  },
  {
    file: "packages/core/src/codec/Mask.ts",
    line: "const pool = this.#pool ??= new Int32Array(poolWords)",
    change: [["??=", "="]],
    why: "spares an array for each filling of the pool"
  },
  {
    file: "packages/core/src/codec/Simd.ts",
    line: "if (memory === undefined || bytes.buffer !== memory) return false",
    after: "if (knownTarget === bytes) return true",
    change: [["memory === undefined || bytes.buffer !== memory", "true"]],
    why: "a faster way to copy: `set` copies the same"
  },
  {
    file: "packages/core/src/codec/Utf8.ts",
    line: "if (bytes[i]! > 0x7f) return i",
    change: [["bytes[i]! > 0x7f", "true"]],
    why: "a shorter way for ASCII: its caller passes over what is left of it byte by byte"
  },
  {
    file: "packages/core/src/codec/Utf8.ts",
    line: "while (w < last && ((words[w]! | words[w + 1]! | words[w + 2]! | words[w + 3]!) & highBits) === 0) w += 4",
    change: [["&", "|"]],
    why: "a shorter way for ASCII, which is not taken then: the loop below it passes over the same bytes"
  },
  {
    file: "packages/core/src/codec/Utf8.ts",
    line: "i = w * 4 - base",
    change: [["i = w * 4 - base", "void 0"]],
    why: "a shorter way for ASCII: the loop below it passes over the same bytes"
  },
  {
    file: "packages/core/src/codec/Utf8.ts",
    line: "let run = 0",
    why: "decides when to look at whole words again, which find the same"
  },
  {
    file: "packages/core/src/codec/Utf8.ts",
    line: "while (i < end && bytes[i]! < 0x80) i++",
    change: [["<", ">="], ["i < end && bytes[i]! < 0x80", "false"]],
    why: "a shorter way for ASCII: its caller passes over what is left of it byte by byte"
  },
  {
    file: "packages/core/src/codec/Utf8.ts",
    line: "if (first >= 0xc2 && first < 0xe0 && i + 1 < end) {",
    change: [[">=", ">"], ["0xc2", "195"], ["1", "2"], ["first >= 0xc2 && first < 0xe0 && i + 1 < end", "false"]],
    why: "a shorter way for most characters: the code below it finds the same"
  },
  {
    file: "packages/core/src/codec/Utf8.ts",
    line: "if (first > 0xe0 && first < 0xed && i + 2 < end) {",
    change: [["0xe0", "225"], ["2", "3"], ["first > 0xe0 && first < 0xed && i + 2 < end", "false"]],
    why: "a shorter way for most characters: the code below it finds the same"
  },
  {
    file: "packages/core/src/connection/Link.ts",
    line: "if (this.accounted > 0) this.account()",
    change: [[">", ">="], ["this.accounted > 0", "true"]],
    why: "spares a look at what is held: reading lessens it, and from less than a page there is nothing to give back"
  },
  {
    file: "packages/core/src/connection/LinkClosing.ts",
    line: "if (this.goneAt === undefined) this.over()",
    change: [["this.goneAt === undefined", "true"]],
    why: "spares the steps of the end a second time: each of them is taken once"
  },
  {
    file: "packages/core/src/connection/ByteLink.ts",
    line: "this.fannedOut = -1",
    change: [["1", "2"]],
    why: "any number that is no count of bytes says that none wait for a turn"
  },
  {
    file: "packages/core/src/connection/LinkClosing.ts",
    line: "this.hasTold = true",
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
    file: "packages/core/src/connection/HeldMemory.ts",
    line: "let opened = 0",
    why: "numbers that grow, wherever they begin"
  },
  {
    file: "packages/core/src/connection/Link.ts",
    line: "this.flushScheduled = true",
    why: "spares a flush that has nothing to write"
  },
  {
    file: "packages/core/src/connection/Link.ts",
    line: "protected isLooking = false",
    why: "matters while messages wait, and their input sets it"
  },
  {
    file: "packages/core/src/connection/Link.ts",
    line: "if (this.hooks.isWaiting) this.hooks.onReadable()",
    change: [["this.hooks.isWaiting", "true"]],
    why: "spares a call, which does nothing for a reader that does not wait"
  },
  {
    file: "packages/core/src/connection/LinkHooks.ts",
    line: "hasWaitingSenders: false,",
    why: "a connection takes the place of these hooks when it is made, before its link starts"
  },
  {
    file: "packages/core/src/connection/LinkClosing.ts",
    line: "if (!this.isSent) {",
    change: [["!this.isSent", "true"]],
    why: "a Close is sent once, and senders that waited were told; an idle streamed message is no reason to wait, " +
      "but whatever arrives then takes the steps that are left"
  },
  {
    file: "packages/core/src/connection/LinkHooks.ts",
    line: "isWaiting: false,",
    why: "a connection takes the place of these hooks when it is made, before its link starts"
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
    file: "packages/core/src/connection/Watches.ts",
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
    line: "if (this.hasTold) return",
    change: [["this.hasTold", "false"]],
    why: "spares telling again: listeners are called once and then gone"
  },
  {
    file: "packages/core/src/connection/HeldMemory.ts",
    line: "if (pages !== this.accounted) this.budget.change(this, pages)",
    change: [["pages !== this.accounted", "true"]],
    why: "spares a report that changes nothing"
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
    file: "packages/core/src/connection/Writer.ts",
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
    line: "return first === \"wait\" ? writer.holdersTurn(attempt) : writer.settle(first)",
    change: [["first === \"wait\"", "true"]],
    why: "asks again, which adds nothing and comes out the same"
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
    file: "packages/core/src/handshake/WebSocketUrl.ts",
    line: "const text = typeof url === \"string\" ? url : url.href",
    change: [["typeof url === \"string\"", "true"]],
    why: "for the type checker: the parser takes a `URL` too, which has no control characters"
  },
  {
    file: "packages/core/src/http/Tokens.ts",
    line: "if (values.length === 1 && equalsIgnoreCase(values[0], token)) return true",
    change: [["values.length === 1 && equalsIgnoreCase(values[0], token)", "false"]],
    why: "a shorter way for a list of one: the code below it finds the same"
  },
  {
    file: "packages/core/src/protocol/ControlBudget.ts",
    line: "private since = 0",
    why: "the first frame that counts sets it before it is read"
  },
  {
    file: "packages/core/src/protocol/ExtensionDecoding.ts",
    line: "private at = 0",
    why: "`push` sets it before it is read"
  },
  {
    file: "packages/core/src/protocol/ExtensionDecoding.ts",
    line: "private last = false",
    why: "`push` sets it before it is read"
  },
  {
    file: "packages/core/src/protocol/GrowingBuffer.ts",
    line: "if (this.length === 0 && bytes.length > 0) {",
    change: [[">", ">="]],
    why: "nothing is added: what follows becomes the buffer, or makes its room, either way"
  },
  {
    file: "packages/core/src/protocol/IncomingFrame.ts",
    line: "if (this.masked) maskInto(bytes, start, end, this.control, this.received, this.maskKey, this.received & 3)",
    change: [["this.masked", "true"]],
    why: "the key of a frame without a mask is zero, which copies the bytes as they are"
  },
  {
    file: "packages/core/src/protocol/IncomingText.ts",
    line: "const whole = isAscii ? end : endOfWhole(bytes, at, end)",
    change: [["isAscii", "false"]],
    why: "spares a look at the last bytes, which finds the same for ASCII"
  },
  {
    file: "packages/core/src/protocol/IncomingText.ts",
    line: "if (parts.length === 0) return \"\"",
    change: [["parts.length === 0", "false"]],
    why: "spares the joining of nothing"
  },
  {
    file: "packages/core/src/protocol/PayloadReader.ts",
    line: "if (maskKey !== 0) maskInPlace(bytes, start, end, maskKey, phase)",
    change: [["maskKey !== 0", "true"]],
    why: "spares the way through the bytes: a key of zero leaves them as they are"
  }
]
