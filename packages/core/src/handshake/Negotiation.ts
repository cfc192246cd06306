/**
 * Which extension a connection uses (RFC 6455 §9.1): the client offers, the server accepts the
 * first offer that it supports, the client checks the answer. One extension transforms the
 * messages of a connection: a server accepts only one, and a client fails if several were
 * accepted.
 */
import * as Result from "effect/Result"
import { type ExtensionHeader, format } from "../Extension.ts"
import type { MessageExtension, Transform } from "../MessageExtension.ts"
import type { HandshakeError } from "../WebSocketError.ts"
import type { HandshakeResponse } from "./ClientHandshake.ts"
import { invalidResponse } from "../http/Refusal.ts"

/** A negotiated extension, opened once the connection is made. */
export type Open = () => Transform

/** The value of the client's `Sec-WebSocket-Extensions`. */
export const offer = (
  extensions: ReadonlyArray<MessageExtension>
): Result.Result<string | undefined, HandshakeError> => {
  const offers = extensions.flatMap(({ name, offers }) => offers.map((params): ExtensionHeader => ({ name, params })))
  return offers.length === 0 ? Result.succeed(undefined) : format(offers)
}

/** The server's choice: the offers are tried in the client's order. */
export const answer = (
  extensions: ReadonlyArray<MessageExtension>,
  offers: ReadonlyArray<ExtensionHeader>
): { readonly header: ExtensionHeader; readonly open: Open } | undefined => {
  for (const offered of offers) {
    for (const extension of extensions) {
      const answered = extension.name === offered.name ? extension.answer(offered) : undefined
      if (answered !== undefined) {
        return { header: { name: offered.name, params: answered.params }, open: answered.open }
      }
    }
  }
  return undefined
}

/** Checks the answer on the client. All of its names were offered. */
export const agree = (
  extensions: ReadonlyArray<MessageExtension>,
  answered: ReadonlyArray<ExtensionHeader>,
  response: HandshakeResponse
): Result.Result<Open | undefined, HandshakeError> => {
  if (answered.length === 0) return Result.succeed(undefined)
  const [header, ...others] = answered
  if (others.length > 0) {
    return Result.fail(invalidResponse("ExtensionUnexpected", response, "the server took more than one extension"))
  }
  let wrong: string | undefined
  // Several may share a name, such as two ways to compress. The first that agrees is used.
  for (const extension of extensions) {
    if (extension.name !== header.name) continue
    const agreed = extension.agree(header)
    if (Result.isSuccess(agreed)) return Result.succeed(agreed.success.open)
    wrong ??= agreed.failure
  }
  return Result.fail(
    wrong === undefined
      ? invalidResponse("ExtensionUnexpected", response)
      : invalidResponse("ExtensionInvalid", response, `${header.name}: ${wrong}`)
  )
}
