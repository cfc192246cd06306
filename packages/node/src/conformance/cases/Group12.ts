/** Group 12, compression of different kinds of data, with the parameters that permessage-deflate has by itself. */
import { corpora } from "./Corpora.ts"
import { echoes } from "./Echoes.ts"
import type { Case, Negotiation } from "./Case.ts"

const plain: Negotiation = {
  offers: [{ clientNoContextTakeover: true, clientMaxWindowBits: true }],
  answers: [{}]
}

export const group12: ReadonlyArray<Case> = corpora.flatMap((corpus, index) =>
  echoes(`12.${index + 1}`, corpus.name, corpus, plain)
)
