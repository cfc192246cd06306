/** A reader of the machine, which takes whole messages or fragments. */
import type * as Protocol from "../../src/Protocol.ts"
import { concat } from "./Grammar.ts"

/** What takes all that can be had now into `messages`, and asks for more. */
export const readInto = (
  messages: Array<string | Uint8Array>,
  protocol: Protocol.Protocol,
  demand: "message" | "fragments"
): () => void => {
  let pieces: Array<string | Uint8Array> = []
  return () => {
    const { fragments } = protocol
    if (fragments !== undefined) {
      pieces.push(...fragments.take())
      if (fragments.done) {
        messages.push(fragments.type === "text" ? pieces.join("") : concat(pieces as Array<Uint8Array>))
        pieces = []
        protocol.endFragments()
      }
    }
    if (protocol.fragments === undefined) messages.push(...protocol.takeMessages())
    protocol.demand(demand)
  }
}
