/**
 * Group 13, the parameters of permessage-deflate (RFC 7692 §7.1). The suite asks the subject to give up context
 * takeover, to keep to a window, or both: as the client in its offers, as the server in its answer.
 */
import type { Parameters } from "../wire/Parameters.ts"
import { jsonCorpus } from "./Corpora.ts"
import { echoes } from "./Echoes.ts"
import type { Case, Negotiation } from "./Case.ts"

interface Request {
  readonly noContextTakeover: boolean
  readonly windowBits?: number
}

const offer = (request: Request): Parameters => ({
  clientNoContextTakeover: true,
  clientMaxWindowBits: true,
  ...(request.noContextTakeover ? { serverNoContextTakeover: true } : {}),
  ...(request.windowBits === undefined ? {} : { serverMaxWindowBits: request.windowBits })
})

const answer = (request: Request): Parameters => ({
  ...(request.noContextTakeover ? { clientNoContextTakeover: true } : {}),
  ...(request.windowBits === undefined ? {} : { clientMaxWindowBits: request.windowBits })
})

const negotiation = (requests: ReadonlyArray<Request>): Negotiation => ({
  offers: requests.map(offer),
  answers: requests.map(answer)
})

const sets: ReadonlyArray<readonly [what: string, requests: ReadonlyArray<Request>]> = [
  ["Nothing asked", [{ noContextTakeover: false }]],
  ["No takeover", [{ noContextTakeover: true }]],
  ["Window 9", [{ noContextTakeover: false, windowBits: 9 }]],
  ["Window 15", [{ noContextTakeover: false, windowBits: 15 }]],
  ["No takeover and window 9", [{ noContextTakeover: true, windowBits: 9 }]],
  ["No takeover and window 15", [{ noContextTakeover: true, windowBits: 15 }]],
  ["No takeover and window 9, or no takeover, or nothing", [
    { noContextTakeover: true, windowBits: 9 },
    { noContextTakeover: true },
    { noContextTakeover: false }
  ]]
]

export const group13: ReadonlyArray<Case> = sets.flatMap(([what, requests], index) =>
  echoes(`13.${index + 1}`, what, jsonCorpus, negotiation(requests))
)
