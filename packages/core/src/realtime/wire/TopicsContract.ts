/** The contract that servers and clients of topics speak. */
import * as Effect from "effect/Effect"
import * as Contract from "../../Contract.ts"
import { deepest, name, ToClient, ToServer } from "./Messages.ts"
import { isDeeper } from "./Nesting.ts"

const syntax = Effect.fail("syntax" as const)

/** JSON that is not nested without end: a Schema spends microseconds on each level of a value, a peer two bytes. */
const json: Contract.Codec = {
  name: Contract.json.name,
  compile: (schema) => {
    const { decode, encode } = Contract.json.compile(schema)
    return {
      decode: (message) => typeof message === "string" && isDeeper(message, deepest) ? syntax : decode(message),
      encode
    }
  }
}

export const TopicsContract = Contract.make(name, { toServer: ToServer, toClient: ToClient, codecs: [json] })
