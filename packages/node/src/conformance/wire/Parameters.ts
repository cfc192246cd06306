/** The parameters of permessage-deflate (RFC 7692 §7.1): written, read and judged without the library. */
import type { Half } from "./Inflater.ts"

export interface Parameters {
  readonly serverNoContextTakeover?: true
  readonly clientNoContextTakeover?: true
  readonly serverMaxWindowBits?: number
  /** Without a value it only says that the client can obey; that stands in offers only. */
  readonly clientMaxWindowBits?: number | true
}

/** What both directions agreed on. */
export interface Agreement {
  readonly server: Half
  readonly client: Half
}

const name = "permessage-deflate"

export const format = (parameters: Parameters): string =>
  [
    name,
    ...(parameters.serverNoContextTakeover ? ["server_no_context_takeover"] : []),
    ...(parameters.clientNoContextTakeover ? ["client_no_context_takeover"] : []),
    ...(parameters.serverMaxWindowBits === undefined
      ? []
      : [`server_max_window_bits=${parameters.serverMaxWindowBits}`]),
    ...(parameters.clientMaxWindowBits === undefined
      ? []
      : parameters.clientMaxWindowBits === true
      ? ["client_max_window_bits"]
      : [`client_max_window_bits=${parameters.clientMaxWindowBits}`])
  ].join("; ")

const bitsOf = (value: string, parameter: string): number => {
  const token = value.startsWith("\"") && value.endsWith("\"") ? value.slice(1, -1) : value
  const bits = Number(token)
  if (String(bits) !== token || bits < 8 || bits > 15) throw new Error(`${parameter} of ${value}`)
  return bits
}

/** One element of the header; throws what is wrong with it. */
const parseOne = (element: string): Parameters => {
  const [extension, ...rest] = element.split(";").map((part) => part.trim())
  if (extension !== name) throw new Error(`the extension ${extension}`)
  const parameters: { -readonly [Key in keyof Parameters]: Parameters[Key] } = {}
  const seen = new Set<string>()
  for (const part of rest) {
    const equals = part.indexOf("=")
    const key = (equals < 0 ? part : part.slice(0, equals)).trim()
    const value = equals < 0 ? undefined : part.slice(equals + 1).trim()
    if (seen.has(key)) throw new Error(`${key} twice`)
    seen.add(key)
    if (key === "server_no_context_takeover" && value === undefined) parameters.serverNoContextTakeover = true
    else if (key === "client_no_context_takeover" && value === undefined) parameters.clientNoContextTakeover = true
    else if (key === "server_max_window_bits" && value !== undefined) {
      parameters.serverMaxWindowBits = bitsOf(value, key)
    } else if (key === "client_max_window_bits") {
      parameters.clientMaxWindowBits = value === undefined ? true : bitsOf(value, key)
    } else throw new Error(`the parameter ${part}`)
  }
  return parameters
}

export const parse = (header: string): ReadonlyArray<Parameters> => header.split(",").map(parseOne)

/** Whether a server may answer this offer so (RFC 7692 §7.1). */
const isAllowed = (offer: Parameters, answer: Parameters): boolean => {
  if (offer.serverNoContextTakeover && !answer.serverNoContextTakeover) return false
  if (offer.serverMaxWindowBits !== undefined && (answer.serverMaxWindowBits ?? 15) > offer.serverMaxWindowBits) {
    return false
  }
  if (answer.clientMaxWindowBits === undefined) return true
  if (offer.clientMaxWindowBits === undefined || answer.clientMaxWindowBits === true) return false
  return offer.clientMaxWindowBits === true || answer.clientMaxWindowBits <= offer.clientMaxWindowBits
}

const agreement = (answer: Parameters): Agreement => ({
  server: {
    windowBits: answer.serverMaxWindowBits ?? 15,
    noContextTakeover: answer.serverNoContextTakeover === true
  },
  client: {
    windowBits: typeof answer.clientMaxWindowBits === "number" ? answer.clientMaxWindowBits : 15,
    noContextTakeover: answer.clientNoContextTakeover === true
  }
})

/** What a server's answer to these offers comes to; throws what is wrong with the answer. */
export const judgeAnswer = (offers: ReadonlyArray<Parameters>, header: string): Agreement => {
  const answers = parse(header)
  const [answer] = answers
  if (answers.length !== 1 || answer === undefined) throw new Error("more than one extension")
  if (!offers.some((offer) => isAllowed(offer, answer))) throw new Error(`no offer allows ${header}`)
  return agreement(answer)
}

/** The first of the wanted answers that one of the client's offers allows. */
export const chooseAnswer = (
  wanted: ReadonlyArray<Parameters>,
  header: string
): { readonly header: string; readonly agreement: Agreement } | undefined => {
  const offers = parse(header)
  for (const wish of wanted) {
    for (const offer of offers) {
      // What the client asks of the server is granted in any case.
      const { clientMaxWindowBits: _, clientNoContextTakeover: _hint, ...asked } = offer
      const answer = { ...asked, ...wish }
      if (isAllowed(offer, answer)) return { header: format(answer), agreement: agreement(answer) }
    }
  }
  return undefined
}
