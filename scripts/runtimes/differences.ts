/**
 * What the other runtimes do differently, as data: the tests that cannot pass there, and why. `test-runtimes.ts` fails where
 * another test fails, and where one of these passes; docs/runtimes.md shows them.
 */
import type { Runtime } from "./installed.ts"

export interface Difference {
  readonly on: Exclude<Runtime, "workerd">
  /** The file, or the start of the paths of several. */
  readonly file: string
  /** Which of its tests, by their full names. Default: all. */
  readonly tests?: RegExp
  /** Not run at all: what it is about does not exist there, or takes the deadline of a test to fail. */
  readonly isLeftOut?: boolean
  /** It passes now and then. */
  readonly isUncertain?: boolean
  readonly why: string
}

const node = "packages/node/test/"

const both = (difference: Omit<Difference, "on">): ReadonlyArray<Difference> => [
  { on: "bun", ...difference },
  { on: "deno", ...difference }
]

const each = (files: ReadonlyArray<string>, difference: Omit<Difference, "file">): ReadonlyArray<Difference> =>
  files.map((file) => ({ file: `${node}${file}`, ...difference }))

export const differences: ReadonlyArray<Difference> = [
  ...both({
    file: "packages/core/test/protocol/LinearWork.test.ts",
    isLeftOut: true,
    why: "Work is counted by V8's coverage, which only Node has"
  }),
  ...both({
    file: `${node}NodeDeflate.test.ts`,
    tests: /compresses what does not get smaller/,
    why: "Their zlib makes random bytes 5 % larger where Node's adds less than 0.1 %"
  }),
  ...both({
    file: `${node}transport/DuplexTransport.test.ts`,
    tests: /shared buffer a pause between two chunks/,
    why: "TLS is not read into a shared buffer there, which is undocumented in Node; it costs an allocation for each read"
  }),
  ...both({
    file: `${node}Compression.test.ts`,
    tests: /in a process of its own/,
    isLeftOut: true,
    why: "What large compressed messages cost in memory and in time is measured on Node"
  }),
  {
    on: "bun",
    file: "packages/core/test/BunHttpServer.test.ts",
    isLeftOut: true,
    why: "The test plays Bun, whose global cannot be replaced on Bun; the promises for connections run on the real one"
  },
  ...each(["NodeWebSocketClient.test.ts", "Tls.test.ts", "Compression.test.ts"], {
    on: "bun",
    tests: /over undici|over the Socket of an HttpClient|undici: wss|clients of one's own|a redirect from wss|in the middle of TLS|without a codec nothing/,
    isLeftOut: true,
    why: "Bun has the names of undici only, whose agents cannot dial: `NodeWebSocketClient.layer` dials by `node:http` there"
  }),
  ...each(["transport/DuplexTransport.test.ts", "deflate/MessageCodec.test.ts"], {
    on: "bun",
    tests: /the buffers of a write that waits need be kept|inflates no more than twice/,
    isLeftOut: true,
    why: "These tests ask V8 for a garbage collection"
  }),
  {
    on: "bun",
    file: `${node}NodeHttpServer.test.ts`,
    tests: /HTTP\/2\.0 as text/,
    why: "Bun's parser answers another version of HTTP with 400, not 505"
  },
  {
    on: "bun",
    file: `${node}upgrade/`,
    tests: /waits for their answers|is what the stock server's is \*|asked for after the accept/,
    why: "Bun's parser refuses `OPTIONS *` and an upgrade behind requests that are not answered yet, and a response that was not needed is not ended"
  },
  {
    on: "bun",
    file: `${node}HttpUpgrade.test.ts`,
    tests: /a cut 1006 with its cause/,
    isUncertain: true,
    why: "A reset can look like the end of the stream: `IOError`, reason `EndOfStream` instead of `Reset`"
  },
  ...both({
    file: `${node}Backpressure.test.ts`,
    tests: /one that reads slowly/,
    isUncertain: true,
    why: "They take more from a sender at once than Node, so that what a slow peer has read is seen less finely"
  }),
  {
    on: "bun",
    file: `${node}interop/Interop.test.ts`,
    tests: /ws the peer breaks a rule/,
    why: "Bun replaces the package `ws`, which these tests make send broken frames by its socket"
  },
  {
    on: "deno",
    file: `${node}NodeDeflate.test.ts`,
    tests: /by documented interfaces/,
    why: "Deno's synchronous zlib ignores the dictionary, so with `EFFECT_WS_PORTABLE=1` there is no compression; by handles there is"
  },
  {
    on: "deno",
    file: `${node}transport/DuplexTransport.test.ts`,
    tests: /of a TCP socket (?:a small write is taken|what it cannot take|end sends the end behind|behind the peer's end it still writes)/,
    isUncertain: true,
    why: "A small write may be taken one turn later, as on TLS; senders do not notice"
  },
  {
    on: "deno",
    file: `${node}transport/DuplexTransport.test.ts`,
    tests: /of a TCP socket end behind a write that waits/,
    isLeftOut: true,
    why: "A peer on Deno that ends its side while it is paused breaks the connection (EPIPE); one on Node does not"
  },
  {
    on: "deno",
    file: `${node}transport/DuplexTransport.test.ts`,
    tests: /of a TLS socket.* a reset (?:closes with|before the start)/,
    isLeftOut: true,
    why: "A reset of a TLS connection is told as the end of the stream: `IOError`, reason `EndOfStream` instead of `Reset`"
  },
  {
    on: "deno",
    file: `${node}transport/DuplexTransport.test.ts`,
    tests: /of a TLS socket.* a paused transport makes the peer wait/,
    isUncertain: true,
    why: "Deno reads on from a TLS socket of `node:tls` that is paused: over TLS a peer that sends more than is read is not held back"
  },
  {
    on: "deno",
    file: `${node}Backpressure.test.ts`,
    tests: /over TLS it is given up after/,
    isLeftOut: true,
    why: "A peer over TLS that takes nothing is given up in time, and learns of it late: Deno ends the TCP connection behind what waits"
  },
  {
    on: "deno",
    file: `${node}Tls.test.ts`,
    tests: /an expired certificate|one that is not valid yet|no common cipher/,
    why: "Deno's TLS names other codes, so that the advice in the error is a general one; the certificates are refused all the same"
  },
  {
    on: "deno",
    file: `${node}NodeHttpServer.test.ts`,
    tests: /more headers than Node keeps/,
    why: "Deno's parser answers too many headers with 400, not 431"
  },
  {
    on: "deno",
    file: `${node}upgrade/`,
    tests: /joins headers as Node does|more header lines than Node keeps/,
    why: "Deno's parser joins some headers otherwise and keeps more lines"
  },
  {
    on: "deno",
    file: `${node}SocketContract.test.ts`,
    tests: /the stock one headers and subprotocols/,
    why: "The stock socket of `@effect/platform-node` fails there where headers and subprotocols are given; `NodeSocket` does not"
  },
  {
    on: "deno",
    file: `${node}interop/`,
    tests: /Node [\d.]+ headers and cookies of the request/,
    why: "The peer of these tests is the runtime's own WebSocket, which on Deno names its user agent itself"
  }
]
