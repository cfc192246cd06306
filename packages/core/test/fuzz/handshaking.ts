/**
 * Header lists against both halves of the handshake, and extension headers against their grammar: whatever comes, a
 * value or a typed error, and a value only where the RFC's conditions hold.
 */
import * as Result from "effect/Result"
import * as Extension from "../../src/Extension.ts"
import * as Handshake from "../../src/Handshake.ts"
import { answerOffer, parseParams } from "../../src/deflate/Parameters.ts"
import { HandshakeError } from "../../src/WebSocketError.ts"
import type { Random } from "./Random.ts"
import { Choices, expect, type Target } from "./Target.ts"

const key = "dGhlIHNhbXBsZSBub25jZQ=="
const accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
const names = ["Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol",
  "Sec-WebSocket-Extensions", "Origin", "Content-Length", "Transfer-Encoding", "Sec-WebSocket-Accept", "Expect", "host",
  "__proto__", "constructor"]
const values = ["a.example", "websocket", "WebSocket", "Upgrade", "keep-alive, Upgrade", key, "13", "8", "13, 8", "chat",
  "chat, superchat", "permessage-deflate", "permessage-deflate; client_max_window_bits", "http://a.example",
  "https://evil.example", "null", "0", "1", "chunked", "", " ", ",", ";", "=", "\"", "\\", "\r\n", "\0", "é", accept,
  "permessage-deflate; server_max_window_bits=8", "permessage-deflate; client_max_window_bits=\"10\"",
  "x; a=1; b, y; c=\"\\d\"", "[::1]:80", "a.example:99999", "user@a.example", "toString"]
const good: ReadonlyArray<readonly [string, string]> = [["Host", "a.example"], ["Upgrade", "websocket"],
  ["Connection", "Upgrade"], ["Sec-WebSocket-Key", key], ["Sec-WebSocket-Version", "13"]]

/** A value out of the dictionary's words and single characters. */
const text = (choices: Choices): string => {
  let value = ""
  for (let n = choices.byte() % 4; n >= 0; n--) {
    value += choices.byte() % 4 === 0 ? String.fromCharCode(choices.byte()) : choices.pick(values)
    if (n > 0 && choices.byte() % 2 === 0) value += choices.pick([", ", "; ", "=", " ", ""])
  }
  return value
}

const headerList = (choices: Choices): Handshake.HeaderList => {
  const headers = choices.byte() % 4 === 0 ? [] : [...good]
  for (let n = choices.byte() % 5; n > 0; n--) {
    const at = choices.byte() % (headers.length + 1)
    const entry = [choices.byte() % 8 === 0 ? text(choices) : choices.pick(names), text(choices)] as const
    const how = choices.byte() % 4
    if (how === 0) headers.splice(at, 1)
    else headers.splice(at, how === 1 ? 1 : 0, entry)
  }
  return headers
}

// RFC 9110 §5.5: the spaces around a value are no part of it.
const of = (headers: Handshake.HeaderList, name: string): Array<string> =>
  headers.filter(([header]) => header.toLowerCase() === name).map(([, value]) => value.replace(/^[ \t]+|[ \t]+$/g, ""))

const list = (headers: Handshake.HeaderList, name: string): Array<string> =>
  of(headers, name).join(",").split(",").map((item) => item.trim().toLowerCase())

const isTyped = (error: unknown): boolean =>
  error instanceof HandshakeError && error.section !== "" && error.detail !== "" && error.status !== undefined

const checkServer = (headers: Handshake.HeaderList): void => {
  const checked = Handshake.checkRequest({ method: "GET", httpVersion: "1.1", headers })
  if (Result.isFailure(checked)) {
    expect(isTyped(checked.failure) && [400, 403, 417, 426, 431].includes(checked.failure.status!), () => `untyped: ${checked.failure}`)
    return
  }
  const lacks = (what: string) => () => `accepted without ${what}: ${JSON.stringify(headers)}`
  expect(of(headers, "host").length === 1, lacks("one Host"))
  expect(list(headers, "upgrade").includes("websocket"), lacks("Upgrade"))
  expect(list(headers, "connection").includes("upgrade"), lacks("Connection"))
  expect(of(headers, "sec-websocket-version").join() === "13", lacks("version 13"))
  expect(of(headers, "sec-websocket-key").join() === checked.success.key, lacks("one key"))
  expect(Buffer.from(checked.success.key ?? "", "base64").length === 16, lacks("16 bytes of key"))
  expect(of(headers, "transfer-encoding").length === 0, lacks("an empty body"))
  expect(of(headers, "content-length").every((value) => value === "0"), lacks("an empty body"))
  const origin = of(headers, "origin")
  expect(origin.length <= 1, lacks("one Origin"))
  if (origin.length === 1) {
    const host = new URL(`http://${of(headers, "host")[0]}`).host
    expect(new URL(origin[0]).hostname === host.replace(/:\d+$/, ""), lacks("an Origin of the same host"))
  }
  const answered = Handshake.acceptResponse(checked.success, { subprotocol: checked.success.subprotocols[0] })
  expect(Result.isSuccess(answered), () => "what was accepted cannot be answered")
  if (Result.isFailure(answered)) return
  const head = Handshake.encodeUpgradeResponse(answered.success)
  expect(Result.isSuccess(head), () => "what is answered cannot be written")
  // What a server answers, its client takes.
  const { key = "", subprotocols } = checked.success
  const back = Handshake.checkResponse(answered.success, { key, subprotocols })
  expect(Result.isSuccess(back), () => `a client refuses: ${Result.isFailure(back) && back.failure.message}`)
}

const checkClient = (headers: Handshake.HeaderList, status: number): void => {
  const response = { status, headers }
  const checked = Handshake.checkResponse(response, { key, subprotocols: ["chat"], extensions: [{ name: "permessage-deflate", params: [] }] })
  if (Result.isFailure(checked)) {
    expect(isTyped(checked.failure), () => `untyped: ${checked.failure}`)
    return
  }
  const lacks = (what: string) => () => `agreed without ${what}: ${JSON.stringify(headers)}`
  expect(status === 101, lacks("101"))
  expect(of(headers, "upgrade").join().toLowerCase() === "websocket", lacks("Upgrade"))
  expect(list(headers, "connection").includes("upgrade"), lacks("Connection"))
  expect(of(headers, "sec-websocket-accept").join() === accept, lacks("Accept"))
  expect(of(headers, "sec-websocket-protocol").join() === "chat", lacks("the protocol"))
  expect(checked.success.extensions.every(({ name }) => name === "permessage-deflate"), lacks("an offered extension"))
}

const checkExtensions = (lines: ReadonlyArray<string>): void => {
  const parsed = Extension.parse(lines)
  if (Result.isFailure(parsed)) {
    expect(isTyped(parsed.failure), () => `untyped: ${parsed.failure}`)
    return
  }
  const written = Extension.format(parsed.success)
  expect(Result.isSuccess(written), () => "what was read cannot be written")
  if (Result.isFailure(written)) return
  const again = Extension.parse([written.success])
  expect(
    Result.isSuccess(again) && JSON.stringify(again.success) === JSON.stringify(parsed.success),
    () => `${JSON.stringify(lines)} is read, written and read differently`
  )
  const wishes = { ownBits: 15, peerBits: 15, ownNoTakeover: false, peerNoTakeover: false }
  for (const { params } of parsed.success) {
    for (const where of ["offer", "answer"] as const) parseParams(params, where)
    const answer = answerOffer(params, wishes)
    if (Result.isFailure(answer)) continue
    // No size of a window but 9 to 15 comes near zlib.
    const { ownBits, peerBits } = answer.success.agreement
    expect(ownBits >= 9 && ownBits <= 15 && peerBits >= 8 && peerBits <= 15, () => `windows of ${ownBits} and ${peerBits}`)
  }
}

export const handshaking: Target = {
  name: "handshaking",
  generate: (random: Random) => random.bytes(4 + random.below(60)),
  run: (input) => {
    const choices = new Choices(input)
    const kind = choices.byte() % 4
    if (kind === 0) {
      checkExtensions([text(choices), ...(choices.byte() % 2 === 0 ? [text(choices)] : [])])
    } else if (kind === 1) {
      const headers: Handshake.HeaderList = [...headerList(choices), ["Sec-WebSocket-Accept", accept], ["Sec-WebSocket-Protocol", "chat"]]
      checkClient(choices.byte() % 2 === 0 ? headers.slice(0, -1) : headers, choices.byte() % 8 === 0 ? 200 : 101)
    } else {
      checkServer(headerList(choices))
    }
  }
}
