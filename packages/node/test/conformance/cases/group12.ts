/** Group 12, compression of different kinds of data, with the parameters that permessage-deflate has by itself. */
import { corpora } from "./corpora.ts"
import { echoes } from "./echoes.ts"
import type { Case, Negotiation } from "./model.ts"

const plain: Negotiation = {
  offers: [{ clientNoContextTakeover: true, clientMaxWindowBits: true }],
  answers: [{}]
}

export const group12: ReadonlyArray<Case> = corpora.flatMap((corpus, index) =>
  echoes(`12.${index + 1}`, corpus.name, corpus, plain)
)
