/**
 * Observes one connection, from its handshake to its end. It does no I/O and reads no clock: the same bytes give the
 * same observations, live or from a recording.
 */
import { CompressionBudget, Extension, Handshake, type MessageExtension, Origin, PerMessageDeflate } from "@effect-ws/core"
import * as Result from "effect/Result"
import * as NodeDeflate from "../../NodeDeflate.ts"
import { FrameWatch, type Seen } from "./FrameWatch.ts"
import { type Head, statusOf, valuesOf } from "./Head.ts"
import type { Broken, Side } from "./Observation.ts"

const deflateName = "permessage-deflate"

const makeDeflate = () => PerMessageDeflate.make(NodeDeflate.codec, CompressionBudget.make({ bytes: Infinity }))

/** The parameters as the other side would write them: what a server's frames need in one direction, a client's need in the other. */
const mirrored = (answer: Extension.ExtensionHeader): Extension.ExtensionHeader => ({
  name: answer.name,
  params: answer.params.map(({ name, value }) => ({
    name: name.startsWith("client_")
      ? `server_${name.slice("client_".length)}`
      : name.startsWith("server_")
      ? `client_${name.slice("server_".length)}`
      : name,
    ...(value !== undefined && { value })
  }))
})

const open = (answer: Extension.ExtensionHeader): MessageExtension.Transform | undefined => {
  const agreed = makeDeflate().agree(answer)
  return Result.isSuccess(agreed) ? agreed.success.open() : undefined
}

const handshakeRule = (error: { readonly reason: string; readonly detail: string; readonly section: string }): Broken => ({
  rule: error.reason,
  detail: error.detail,
  section: error.section
})

export class ConnectionWatch {
  private request: Head | undefined
  private readonly frames: { client: FrameWatch | undefined; server: FrameWatch | undefined } = {
    client: undefined,
    server: undefined
  }

  /** The head of a request or of a response. */
  head(from: Side, head: Head): Seen {
    const broken = from === "client" ? this.requestHead(head) : this.responseHead(head)
    return { what: { _tag: "Head", head }, broken }
  }

  /** Bytes after the heads. */
  bytes(from: Side, bytes: Uint8Array): ReadonlyArray<Seen> {
    const watch = this.frames[from]
    return watch === undefined ? [{ what: { _tag: "Bytes", bytes }, broken: [] }] : watch.push(bytes)
  }

  /** One direction has ended, and `how`. */
  end(from: Side, how: string): ReadonlyArray<Seen> {
    return [...this.frames[from]?.end() ?? [], { what: { _tag: "End", how }, broken: [] }]
  }

  private requestHead(head: Head): ReadonlyArray<Broken> {
    this.request = head
    const [method = "", target = "", version = ""] = head.start.split(" ")
    const checked = Handshake.checkRequest({
      method,
      target,
      httpVersion: version.slice("HTTP/".length),
      headers: head.headers
    }, { origin: Origin.unsafeAllowAny })
    return Result.isFailure(checked) ? [handshakeRule(checked.failure)] : []
  }

  private responseHead(head: Head): ReadonlyArray<Broken> {
    const status = statusOf(head)
    if (status !== 101 || this.request === undefined) return []
    const { request } = this
    const offered = Extension.parse(valuesOf(request, "sec-websocket-extensions"))
    const checked = Handshake.checkResponse({ status, headers: head.headers }, {
      key: valuesOf(request, "sec-websocket-key")[0] ?? "",
      subprotocols: valuesOf(request, "sec-websocket-protocol").flatMap((list) => list.split(",")).map((name) => name.trim()),
      extensions: Result.isSuccess(offered) ? offered.success : [],
      requireSubprotocol: false
    })
    const extensions = Result.isSuccess(checked) ? checked.success.extensions : []
    const answer = extensions.find(({ name }) => name === deflateName)
    const agreement = answer === undefined ? undefined : makeDeflate().agree(answer)
    const broken: Array<Broken> = Result.isFailure(checked) ? [handshakeRule(checked.failure)] : []
    if (agreement !== undefined && Result.isFailure(agreement)) {
      broken.push({ rule: "ExtensionInvalid", detail: agreement.failure, section: "RFC 7692 §7.1" })
    }
    this.frames.server = new FrameWatch("server", answer && open(answer))
    this.frames.client = new FrameWatch("client", answer && open(mirrored(answer)))
    return broken
  }
}
