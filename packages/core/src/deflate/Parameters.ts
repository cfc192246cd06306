/**
 * The parameters of permessage-deflate (RFC 7692 §7.1) as plain data: parsed, offered,
 * answered and agreed to, for both roles. This module does not know zlib; every window size
 * that it returns is a number from 8 to 15.
 */
import * as Result from "effect/Result"
import type { ExtensionParam } from "../Extension.ts"
import { isDigit, show } from "../http/Tokens.ts"

export const extensionName = "permessage-deflate"

const ServerNoTakeover = "server_no_context_takeover"
const ClientNoTakeover = "client_no_context_takeover"
const ServerBits = "server_max_window_bits"
const ClientBits = "client_max_window_bits"

/** RFC 7692 §7.1.2: the base-2 logarithm of the LZ77 sliding window. */
const minBits = 8
const maxBits = 15

/** The parameters of one offer or answer. `clientBits` is true where it has no value. */
interface Params {
  readonly serverNoTakeover: boolean
  readonly clientNoTakeover: boolean
  readonly serverBits: number | undefined
  readonly clientBits: number | true | undefined
}

/** What one side wishes, from its own view. `ownBits` is 9 to 15: see {@link answerOffer} on 8. */
export interface Wishes {
  readonly ownBits: number
  readonly peerBits: number
  readonly ownNoTakeover: boolean
  readonly peerNoTakeover: boolean
}

/** What is in effect on a connection, from the view of one side. */
export interface Agreement {
  /** The window that this side may use, 8 to 15. */
  readonly ownBits: number
  /** The window that the peer may use, 8 to 15. */
  readonly peerBits: number
  /** Whether this side may refer to its earlier messages. */
  readonly ownTakeover: boolean
  /** Whether the peer may refer to its earlier messages, so that they must be kept. */
  readonly peerTakeover: boolean
}

/** RFC 7692 §7.1.2: decimal, 8 to 15, no leading zero; 0 where it is anything else. */
const parseBits = (value: string): number => {
  if (value.length > 2) return 0
  let bits = 0
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if (!isDigit(code) || (code === 0x30 && bits === 0)) return 0
    bits = bits * 10 + code - 0x30
  }
  return bits >= minBits && bits <= maxBits ? bits : 0
}

/**
 * Parses the parameters of an offer or an answer; a failure says what is wrong.
 *
 * RFC 7692 §7.1: unknown, duplicate and badly valued parameters make it invalid.
 *
 * | parameter                  | value in an offer | value in an answer |
 * |----------------------------|-------------------|--------------------|
 * | server_no_context_takeover | none              | none               |
 * | client_no_context_takeover | none              | none               |
 * | server_max_window_bits     | 8-15              | 8-15               |
 * | client_max_window_bits     | none or 8-15      | 8-15               |
 */
export const parseParams = (
  params: ReadonlyArray<ExtensionParam>,
  where: "offer" | "answer"
): Result.Result<Params, string> => {
  let serverNoTakeover = false
  let clientNoTakeover = false
  let serverBits: number | undefined
  let clientBits: number | true | undefined
  for (const { name, value } of params) {
    const bits = value === undefined ? undefined : parseBits(value)
    let duplicate: boolean
    let valid: boolean
    switch (name) {
      case ServerNoTakeover:
        duplicate = serverNoTakeover
        valid = value === undefined
        serverNoTakeover = true
        break
      case ClientNoTakeover:
        duplicate = clientNoTakeover
        valid = value === undefined
        clientNoTakeover = true
        break
      case ServerBits:
        duplicate = serverBits !== undefined
        valid = bits !== undefined && bits !== 0
        serverBits = bits ?? 0
        break
      case ClientBits:
        duplicate = clientBits !== undefined
        valid = bits === undefined ? where === "offer" : bits !== 0
        clientBits = bits ?? true
        break
      default:
        return Result.fail(`unknown parameter ${show(name)}`)
    }
    if (duplicate) return Result.fail(`${name} is there twice`)
    if (!valid) {
      return Result.fail(value === undefined ? `${name} has no value` : `${name} has the value ${show(value)}`)
    }
  }
  return Result.succeed({ serverNoTakeover, clientNoTakeover, serverBits, clientBits })
}

const flag = (name: string, on: boolean): ReadonlyArray<ExtensionParam> => on ? [{ name }] : []

const valued = (name: string, bits: number | undefined): ReadonlyArray<ExtensionParam> =>
  bits === undefined ? [] : [{ name, value: String(bits) }]

/**
 * A server's answer to one offer and what is then in effect; a failure, with the
 * reason, declines it.
 *
 * | in the offer                   | wished here     | answered                          | in effect        |
 * |--------------------------------|-----------------|-----------------------------------|------------------|
 * | invalid                        | any             | declined (§7.1)                   |                  |
 * | server_no_context_takeover     | any             | the same (§7.1.1.1)               | own: no takeover |
 * | without it                     | ownNoTakeover   | server_no_context_takeover        | own: no takeover |
 * | without it                     | takeover        | nothing                           | own: takeover    |
 * | client_no_context_takeover     | any             | the same, which binds (§7.1.1.2)  | peer: no takeover|
 * | without it                     | peerNoTakeover  | client_no_context_takeover        | peer: no takeover|
 * | without it                     | takeover        | nothing                           | peer: takeover   |
 * | server_max_window_bits=8       | any             | declined, see below               |                  |
 * | server_max_window_bits=n       | own             | min(n, own) (§7.1.2.1)            | own: min(n, own) |
 * | without it                     | own < 15        | own                               | own              |
 * | without it                     | own = 15        | nothing                           | own: 15          |
 * | client_max_window_bits=n       | peer            | min(n, peer) (§7.1.2.2)           | peer: min(n,peer)|
 * | client_max_window_bits         | peer < 15       | peer                              | peer             |
 * | client_max_window_bits         | peer = 15       | nothing                           | peer: 15         |
 * | without it                     | peer < 15       | declined: it may not be asked for |                  |
 * | without it                     | peer = 15       | nothing                           | peer: 15         |
 *
 * Window 8: zlib cannot make a raw stream with a window of 256 bytes; asked for one, it
 * silently uses 512. So an offer that demands 8 of this side is declined and the next one is
 * tried. Data compressed with a window of 8 is inflated with any larger one.
 */
export const answerOffer = (
  offer: ReadonlyArray<ExtensionParam>,
  wishes: Wishes
): Result.Result<{ readonly params: ReadonlyArray<ExtensionParam>; readonly agreement: Agreement }, string> =>
  Result.flatMap(parseParams(offer, "offer"), ({ clientBits, clientNoTakeover, serverBits, serverNoTakeover }) => {
    if (serverBits === minBits) return Result.fail(`${ServerBits}=8 cannot be kept`)
    if (clientBits === undefined && wishes.peerBits < maxBits) return Result.fail(`${ClientBits} is needed`)
    const ownBits = Math.min(serverBits ?? maxBits, wishes.ownBits)
    const peerBits = Math.min(typeof clientBits === "number" ? clientBits : maxBits, wishes.peerBits)
    const ownTakeover = !serverNoTakeover && !wishes.ownNoTakeover
    const peerTakeover = !clientNoTakeover && !wishes.peerNoTakeover
    return Result.succeed({
      params: [
        ...flag(ServerNoTakeover, !ownTakeover),
        ...flag(ClientNoTakeover, !peerTakeover),
        ...valued(ServerBits, serverBits !== undefined || ownBits < maxBits ? ownBits : undefined),
        ...valued(ClientBits, typeof clientBits === "number" || peerBits < maxBits ? peerBits : undefined)
      ],
      agreement: { ownBits, peerBits, ownTakeover, peerTakeover }
    })
  })

/** What a client offers. {@link agreeAnswer} checks the answer against the same wishes. */
export const makeOffer = (wishes: Wishes): ReadonlyArray<ExtensionParam> => [
  ...flag(ServerNoTakeover, wishes.peerNoTakeover),
  ...flag(ClientNoTakeover, wishes.ownNoTakeover),
  ...valued(ServerBits, wishes.peerBits < maxBits ? wishes.peerBits : undefined),
  wishes.ownBits < maxBits ? { name: ClientBits, value: String(wishes.ownBits) } : { name: ClientBits }
]

/**
 * Checks the answer to {@link makeOffer} on a client: what is in effect, or the reason why
 * the handshake fails (RFC 7692 §5.1, §7.1).
 *
 * | in the answer                  | offered                    | result, in effect                         |
 * |--------------------------------|----------------------------|-------------------------------------------|
 * | invalid                        | any                        | fails                                     |
 * | server_no_context_takeover     | any                        | peer: no takeover                         |
 * | without it                     | server_no_context_takeover | fails: not accepted (§7.1.1.1)            |
 * | without it                     | nothing                    | peer: takeover                            |
 * | client_no_context_takeover     | any                        | own: no takeover                          |
 * | without it                     | client_no_context_takeover | own: no takeover, as promised (§7.1.1.2)  |
 * | without it                     | nothing                    | own: takeover                             |
 * | server_max_window_bits=n       | m < 15                     | n <= m: peer: n; n > m: fails (§7.1.2.1)  |
 * | without it                     | m < 15                     | fails: not accepted                       |
 * | server_max_window_bits=n       | nothing                    | peer: n                                   |
 * | without it                     | nothing                    | peer: 15                                  |
 * | client_max_window_bits=n       | without a value            | own: n                                    |
 * | client_max_window_bits=n       | =m, a promise (§7.1.2.2)   | own: min(n, m)                            |
 * | without it                     | any                        | own: what was offered, or 15              |
 *
 * The offer always has client_max_window_bits, so that its answer is always allowed. A window
 * of 8 for this side is agreed to: a side that cannot make one compresses nothing.
 */
export const agreeAnswer = (
  answer: ReadonlyArray<ExtensionParam>,
  wishes: Wishes
): Result.Result<Agreement, string> =>
  Result.flatMap(parseParams(answer, "answer"), ({ clientBits, clientNoTakeover, serverBits, serverNoTakeover }) => {
    if (wishes.peerNoTakeover && !serverNoTakeover) return Result.fail(`${ServerNoTakeover} was not accepted`)
    if (wishes.peerBits < maxBits && serverBits === undefined) return Result.fail(`${ServerBits} was not accepted`)
    const peerBits = serverBits ?? maxBits
    if (peerBits > wishes.peerBits) return Result.fail(`${ServerBits} is larger than offered`)
    return Result.succeed({
      ownBits: Math.min(typeof clientBits === "number" ? clientBits : maxBits, wishes.ownBits),
      peerBits,
      ownTakeover: !clientNoTakeover && !wishes.ownNoTakeover,
      peerTakeover: !serverNoTakeover
    })
  })
