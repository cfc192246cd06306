/**
 * The client's side of SOCKS5 (RFC 1928), with user and password (RFC 1929). The proxy looks up
 * host names.
 */
import { WebSocketClient, WebSocketError } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import { Buffer } from "node:buffer"
import * as Net from "node:net"
import { type Proxy, unbracketed } from "./Proxy.ts"

const version = 5
const noLogin = 0
const login = 2

/** Asks the proxy for a connection to a host, as a URL writes it. Afterwards the socket is that connection. */
export const connect = Effect.fnUntraced(function*(socket: Net.Socket, proxy: Proxy, hostname: string, port: number) {
  const { credentials } = proxy
  const methods = credentials === undefined ? [noLogin] : [noLogin, login]
  socket.write(Uint8Array.of(version, methods.length, ...methods))
  const [answered, method] = yield* exactly(socket, proxy, 2)
  if (answered !== version) return yield* notSocks(proxy)
  if (method === login && credentials !== undefined) {
    socket.write(Buffer.concat([Uint8Array.of(1), counted(credentials.user), counted(credentials.password)]))
    const [, status] = yield* exactly(socket, proxy, 2)
    if (status !== 0) return yield* refused(proxy, "RFC 1929 §2", "it does not accept the user and password of its URL")
  } else if (method !== noLogin) {
    const wants = credentials === undefined ? "it asks for a user and password; give them in its URL" : "it accepts no user and password"
    return yield* refused(proxy, "RFC 1928 §3", wants)
  }
  const address = addressOf(hostname)
  if (address === undefined) return yield* refused(proxy, "RFC 1928 §5", "the host's name is longer than 255 bytes")
  socket.write(Buffer.concat([Uint8Array.of(version, 1, 0), address, Uint8Array.of(port >> 8, port & 255)]))
  const [again, reply, , kind] = yield* exactly(socket, proxy, 4)
  if (again !== version) return yield* notSocks(proxy)
  if (reply !== 0) return yield* failed(proxy, reply, `${hostname}:${port}`)
  // The address that the proxy connected from: it is read to be skipped.
  const size = kind === 1 ? 4 : kind === 4 ? 16 : kind === 3 ? (yield* exactly(socket, proxy, 1))[0] : undefined
  if (size === undefined) return yield* notSocks(proxy)
  yield* exactly(socket, proxy, size + 2)
})

const counted = (text: string): Uint8Array => {
  const bytes = Buffer.from(text)
  return Buffer.concat([Uint8Array.of(bytes.length), bytes])
}

/** Type and address as RFC 1928 §5 encodes them. */
const addressOf = (hostname: string): Uint8Array | undefined => {
  const host = unbracketed(hostname)
  const family = Net.isIP(host)
  if (family === 4) return Uint8Array.of(1, ...host.split(".").map(Number))
  if (family === 6) return Uint8Array.of(4, ...groupsOf(host).flatMap((group) => [group >> 8, group & 255]))
  return Buffer.byteLength(host) > 255 ? undefined : Buffer.concat([Uint8Array.of(3), counted(host)])
}

/** The groups of an IPv6 address as the URL parser writes it: hexadecimal, with one `::` at most. */
const groupsOf = (host: string): ReadonlyArray<number> => {
  const [before, after] = host.split("::").map((half) => half === "" ? [] : half.split(":").map((group) => parseInt(group, 16)))
  if (after === undefined) return before
  return [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after]
}

/** Reads so many bytes; what follows them stays in the socket. */
const exactly = (socket: Net.Socket, proxy: Proxy, size: number): Effect.Effect<Uint8Array, WebSocketError.IOError> =>
  Effect.callback((resume) => {
    const settle = (result: Effect.Effect<Uint8Array, WebSocketError.IOError>) => {
      cleanup()
      // Node decides in the next turn that the socket is no longer read by "readable".
      process.nextTick(() => resume(result))
    }
    const look = () => {
      const bytes: Buffer | null = socket.read(size)
      if (bytes !== null) settle(bytes.length === size ? Effect.succeed(bytes) : Effect.fail(ended(proxy)))
    }
    const onEnd = () => settle(Effect.fail(ended(proxy)))
    const onError = (error: Error) => settle(Effect.fail(WebSocketClient.connectError(error, `the proxy ${proxy.name}`)))
    const cleanup = () => {
      socket.off("readable", look)
      socket.off("end", onEnd)
      socket.off("close", onEnd)
      socket.off("error", onError)
    }
    socket.on("readable", look)
    socket.on("end", onEnd)
    socket.on("close", onEnd)
    socket.on("error", onError)
    return Effect.sync(cleanup)
  })

const broken = (reason: WebSocketError.IOReason, detail: string) =>
  new WebSocketError.IOError({ phase: "connect", reason, detail })

const ended = ({ name }: Proxy) => broken("EndOfStream", `The proxy ${name} ended the connection before it answered`)

const notSocks = ({ name }: Proxy) =>
  broken("Unknown", `The response of the proxy ${name} is not SOCKS5; is it an HTTP proxy (http://)?`)

const refused = ({ name }: Proxy, section: string, why: string) =>
  new WebSocketError.HandshakeError({
    reason: "ProxyRefused",
    section,
    detail: `The proxy ${name} refused: ${why}`,
    headers: [],
    body: ""
  })

// RFC 1928 §6: what the network did, not what the proxy allows.
const failures: ReadonlyMap<number, readonly [reason: WebSocketError.IOReason, why: string]> = new Map([
  [1, ["Unknown", "it names no cause"]],
  [3, ["Reset", "the network is unreachable"]],
  [4, ["Reset", "the host is unreachable, or its name is unknown"]],
  [5, ["Refused", "nothing listens there; is it running, and is the port right?"]],
  [6, ["TimedOut", "the host does not respond"]]
])

const refusals: ReadonlyMap<number, string> = new Map([
  [2, "its rules do not allow it"],
  [7, "it does not support CONNECT"],
  [8, "it does not support this type of address"]
])

const failed = (proxy: Proxy, reply: number, target: string) => {
  const failure = failures.get(reply)
  if (failure === undefined) {
    return refused(proxy, "RFC 1928 §6", `a connection to ${target}: ${refusals.get(reply) ?? `SOCKS5 reply ${reply}`}`)
  }
  return broken(failure[0], `The proxy ${proxy.name} could not reach ${target} (SOCKS5 reply ${reply}): ${failure[1]}`)
}
