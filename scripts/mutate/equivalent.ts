/** Mutants that no test can notice, because the program means the same, each with the reason. */
import { connection } from "./equivalentConnection.ts"
import type { Equivalent } from "./mutants.ts"

export const equivalents: ReadonlyArray<Equivalent> = [
  ...connection,
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
