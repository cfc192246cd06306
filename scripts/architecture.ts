/**
 * The rules of the layout: which file may import what. `check-architecture.ts` checks every source file against them.
 *
 * A rule looks at the files under one of its `where` prefixes, but not at those in `except`; there, no import may
 * match `forbid`, and when `allow` is given each must match it. A pattern is compared with the specifier as
 * written for packages (`effect/Stream`) and with the path from the repository's root for relative imports
 * (`packages/core/src/Frame.ts`); `*` stands for anything within one segment, `**` for anything.
 *
 * Each rule carries a line that breaks it. The check begins by seeing every rule fire on its own.
 */
export interface Rule {
  readonly name: string
  readonly where: ReadonlyArray<string>
  readonly except?: ReadonlyArray<string>
  readonly allow?: ReadonlyArray<string>
  readonly forbid?: ReadonlyArray<string>
  /** Imports that are allowed although `forbid` matches them. */
  readonly permit?: ReadonlyArray<string>
  /** Globals that may not be named. */
  readonly globals?: ReadonlyArray<string>
  /** What the code, without comments and strings, may not contain. */
  readonly text?: RegExp
  readonly broken: { readonly file: string; readonly source: string }
}

/**
 * The floors of the packages, from the lowest up: an import never leads to a higher floor. A room (a folder, or a public
 * module, which lies flat in `src/`) has one floor. Between rooms and between files there is no circle; that is
 * checked beside this.
 */
export const floors: ReadonlyArray<{ readonly name: string; readonly files: ReadonlyArray<string> }> = [
  {
    name: "core: vocabulary",
    files: modules("core", "Capabilities", "Opcode", "CloseCode", "WebSocketError", "Limits")
  },
  { name: "core: codec, HTTP's grammar, what a process shares", files: folders("core", "codec", "config", "http", "runtime") },
  { name: "core: messages and buffers", files: [...modules("core", "Primitives", "Message", "Extension", "MessageExtension"), ...folders("core", "memory")] },
  {
    name: "core: pure rooms",
    files: [
      ...modules("core", "Transport", "MessageTransport", "Frame", "FrameDecoder", "Origin", "Protocol", "CompressionBudget", "MemoryBudget"),
      ...folders("core", "protocol", "handshake", "deflate")
    ]
  },
  { name: "core: names for the pure rooms", files: modules("core", "Handshake", "PerMessageDeflate", "FrameSocket") },
  { name: "core: one connection", files: [...folders("core", "connection"), ...modules("core", "Observability")] },
  { name: "core: connections", files: [...modules("core", "WebSocket"), ...folders("core", "client", "server", "socket", "reconnect", "native")] },
  {
    name: "core: clients and servers",
    files: modules("core", "WebSocketClient", "NativeWebSocketClient", "ReconnectingClient", "WebSocketServer", "EffectSocket", "HttpUpgrade", "WebSocketConfig")
  },
  {
    name: "core: servers of platforms",
    files: [...folders("core", "platform"), ...modules("core", "DenoHttpServer", "BunHttpServer", "WorkersHttpServer")]
  },
  { name: "core: values", files: [...folders("core", "contract"), ...modules("core", "Contract")] },
  { name: "core: topics", files: folders("core", "realtime") },
  { name: "core: for tests, and the index", files: [...folders("core", "testing"), ...modules("core", "index")] },
  { name: "node: beyond the documentation of Node and V8", files: folders("node", "undocumented") },
  { name: "node: transports and DEFLATE", files: folders("node", "transport", "deflate") },
  { name: "node: upgrades and dialling", files: folders("node", "upgrade", "client") },
  { name: "node: public modules and programs", files: ["packages/node/src/**"] }
]

function modules(name: string, ...list: ReadonlyArray<string>): ReadonlyArray<string> {
  return list.map((module) => `packages/${name}/src/${module}.ts`)
}

function folders(name: string, ...list: ReadonlyArray<string>): ReadonlyArray<string> {
  return list.map((folder) => `packages/${name}/src/${folder}/**`)
}

const core = "packages/core/src/"
const node = "packages/node/src/"
const tests = ["packages/core/test/", "packages/node/test/", "examples/test/"]

/** The effectful half of core: the connection, and what opens and accepts it. */
const shell = [
  `${core}connection/**`,
  `${core}server/**`,
  `${core}socket/**`,
  `${core}WebSocket.ts`,
  `${core}MemoryBudget.ts`,
  `${core}client/**`,
  `${core}WebSocketClient.ts`,
  `${core}native/**`,
  `${core}NativeWebSocketClient.ts`,
  `${core}platform/**`,
  `${core}DenoHttpServer.ts`,
  `${core}BunHttpServer.ts`,
  `${core}WorkersHttpServer.ts`,
  `${core}reconnect/**`,
  `${core}ReconnectingClient.ts`,
  `${core}contract/**`,
  `${core}Contract.ts`,
  `${core}realtime/**`,
  `${core}WebSocketServer.ts`,
  `${core}FrameSocket.ts`,
  `${core}EffectSocket.ts`,
  `${core}HttpUpgrade.ts`
]

/** The modules that run effects, unlike those that describe data. */
const runtime = ["Effect", "Stream", "Sink", "Channel", "Fiber", "Scope", "Clock", "Layer", "Queue", "Deferred", "Pull"]
  .map((module) => `effect/${module}`)

/**
 * Effect marks these modules unstable, so each is used in few places. Before you add a file, see whether one of the
 * others can do it.
 */
const touchesUnstable = [
  `${core}client/HttpDialer.ts`,
  `${core}client/ResponseLines.ts`,
  `${core}WebSocketServer.ts`,
  `${core}FrameSocket.ts`,
  `${core}EffectSocket.ts`,
  `${core}HttpUpgrade.ts`,
  `${core}server/Acceptance.ts`,
  `${core}server/HandlerLifetime.ts`,
  `${core}server/RequestAttributes.ts`,
  `${core}server/Responses.ts`,
  // The binary codec of Schemas.
  `${core}contract/Codec.ts`,
  `${core}socket/EventSocket.ts`,
  `${core}socket/SocketSession.ts`,
  `${core}socket/SocketTransport.ts`,
  // Servers of platforms.
  `${core}platform/WebServer.ts`,
  `${core}DenoHttpServer.ts`,
  `${core}BunHttpServer.ts`,
  `${core}WorkersHttpServer.ts`,
  // An HTTP server in memory.
  `${core}testing/TestServer.ts`,
  // Effect's Redis service.
  `${core}realtime/RedisBroker.ts`,
  `${core}realtime/redis/Calls.ts`,
  `${core}realtime/redis/Shard.ts`
]

export const rules: ReadonlyArray<Rule> = [
  {
    name: "core knows effect and itself, nothing else",
    where: [core],
    allow: ["effect/**", `${core}**`],
    broken: { file: `${core}codec/Broken.ts`, source: `import { Buffer } from "node:buffer"` }
  },
  {
    name: "core names no global of Node's",
    where: [core],
    globals: ["Buffer", "process", "require", "__dirname", "setImmediate"],
    broken: { file: `${core}codec/Broken.ts`, source: `const bytes = globalThis.Buffer.alloc(1)` }
  },
  {
    name: "the codec knows neither protocol, connection, client nor server",
    where: [`${core}codec/`],
    forbid: [`${core}protocol/**`, `${core}Protocol.ts`, ...shell],
    broken: { file: `${core}codec/Broken.ts`, source: `import { step } from "../protocol/Machine.ts"` }
  },
  {
    name: "HTTP's grammar and the handshake know neither protocol, connection, client nor server",
    where: [`${core}http/`, `${core}handshake/`],
    forbid: [`${core}protocol/**`, `${core}Protocol.ts`, ...shell],
    broken: { file: `${core}handshake/Broken.ts`, source: `export * from "../WebSocketServer.ts"` }
  },
  {
    name: "the protocol knows neither connection, client nor server",
    where: [`${core}protocol/`, `${core}Protocol.ts`],
    forbid: shell,
    broken: { file: `${core}protocol/Broken.ts`, source: `import type { Loop } from "../connection/Loop.ts"` }
  },
  {
    name: "the pure rooms run without Effect's runtime",
    where: [`${core}codec/`, `${core}http/`, `${core}handshake/`, `${core}protocol/`, `${core}Protocol.ts`],
    forbid: runtime,
    broken: { file: `${core}protocol/Broken.ts`, source: `import * as Effect from "effect/Effect"` }
  },
  {
    name: "the connection knows neither client nor server",
    where: [`${core}connection/`],
    forbid: [`${core}WebSocketClient.ts`, `${core}WebSocketServer.ts`],
    broken: { file: `${core}connection/Broken.ts`, source: `import { connect } from "../WebSocketClient.ts"` }
  },
  {
    name: "nothing that runs in production knows the testing modules",
    where: [core],
    except: [`${core}testing/`],
    forbid: [`${core}testing/**`],
    broken: { file: `${core}WebSocket.ts`, source: `import * as TestLink from "./testing/TestLink.ts"` }
  },
  {
    name: "inside core nothing goes through an index, its own or effect's",
    where: [core],
    forbid: [`${core}index.ts`, "effect"],
    broken: { file: `${core}codec/Broken.ts`, source: `import { Frame } from "../index.ts"` }
  },
  {
    name: "effect's unstable modules are touched in named files only",
    where: [core],
    except: touchesUnstable,
    // Effect marks each export with `@stability`. What is unstable lives in folders (`effect/http/HttpClient`), what
    // is stable beside them (`effect/Stream`), with few exceptions.
    forbid: ["effect/[a-z]*", "effect/[a-z]*/**"],
    permit: ["effect/encoding/Base64"],
    broken: { file: `${core}connection/Broken.ts`, source: `import * as Socket from "effect/socket/Socket"` }
  },
  {
    name: "the Node package reaches core by its public name",
    where: [node],
    // `redis` is an optional peer, which NodeRedisCluster asks for when it is used.
    allow: ["effect/**", "@effect/platform-node/**", "@effect-ws/core", "redis", "node:*", "node:*/*", `${node}**`],
    broken: { file: `${node}Broken.ts`, source: `import { mask } from "../../core/src/codec/Mask.ts"` }
  },
  {
    // A fault in the library must not hide itself from the suite that looks for it.
    name: "the conformance suite knows Node and itself, nothing of the library",
    where: [`${node}conformance/`],
    allow: ["node:*", "node:*/*", `${node}conformance/**`],
    broken: { file: `${node}conformance/Broken.ts`, source: `import { Frame } from "@effect-ws/core"` }
  },
  {
    // Importing the package must not load the command line.
    name: "nothing of the Node package knows the command line or the conformance suite but they themselves",
    where: [node],
    except: [`${node}cli/`, `${node}conformance/`],
    forbid: [`${node}cli/**`, `${node}conformance/**`],
    broken: { file: `${node}index.ts`, source: `export * as EffectWs from "./cli/EffectWs.ts"` }
  },
  {
    // Not all that is undocumented has a name of its own; these are those that are used.
    name: "what Node and V8 do not document is named in packages/node/src/undocumented only",
    where: [core, node, "examples/"],
    except: [`${node}undocumented/`, "examples/test/"],
    text: new RegExp(
      [
        "\\._(?!tag\\b|id\\b)[a-z]\\w*",
        "\\bprocess\\s*\\.\\s*binding\\b",
        "\\b(?:setFlagsFromString|runInNewContext|onread|useUserBuffer|writeQueueSize|readStart|readStop|kLastWriteWasAsync)\\b",
        "\\b(?:utf8Slice|latin1Slice|utf8Write|assignSocket|detachSocket|connectionsCheckingInterval|shouldUpgradeCallback)\\b"
      ].join("|"),
      "g"
    ),
    broken: { file: `${node}transport/Broken.ts`, source: `const handle = socket._handle` }
  },
  {
    name: "examples are written as a user would write them",
    where: ["examples/"],
    except: ["examples/test/"],
    forbid: ["packages/**"],
    broken: { file: "examples/broken.ts", source: `import { mask } from "../packages/core/src/codec/Mask.ts"` }
  },
  {
    // The loops of the codec have no public name, and whole programs hide what one of them costs: `benchmark/codec/`
    // measures them where they lie. Everything else in these programs is written against the published packages.
    name: "benchmark and soak use public names",
    where: ["benchmark/", "soak/"],
    except: ["benchmark/codec/"],
    forbid: ["packages/**"],
    broken: { file: "soak/broken.ts", source: `import * as SpareBuffers from "../packages/core/src/memory/SpareBuffers.ts"` }
  },
  {
    // One that needs what the machine may lack asks at run time: `it.skipIf`, or `context.skip("why")`.
    name: "no test is switched off, or runs alone",
    where: tests,
    text: /\b(?:it|test|describe|layer)(?:\.\w+)*\.(?:skip|only|todo|fails)\b|\b(?:xit|xdescribe|fit|fdescribe)\s*\(/g,
    broken: { file: `${tests[0]}Broken.test.ts`, source: `it.effect.skip("later", () => Effect.void)` }
  }
]
