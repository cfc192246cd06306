/**
 * The part of HTTP's header grammar that a handshake needs (RFC 9110 §5.5, §5.6), parsed by
 * hand: every function is total and reads its input once. Header names are compared in ASCII
 * only, so that no case rule of Unicode can make two names equal.
 */

/**
 * Headers as they were sent: duplicates are kept, names are in any case.
 *
 * @category models
 * @since 0.1.0
 */
export type HeaderList = ReadonlyArray<readonly [name: string, value: string]>

/** The most characters that a list-valued header may have, over all of its lines. */
const maxListLength = 8192

/** The most elements that a list-valued header may have, over all of its lines. */
export const maxListEntries = 64

// RFC 9110 §5.6.2: tchar
const tableOfTokens = (): Uint8Array => {
  const codes = new Uint8Array(128)
  for (const char of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
    codes[char.charCodeAt(0)] = 1
  }
  return codes
}
const tokenCodes = /*#__PURE__*/ tableOfTokens()

export const isTokenCode = (code: number): boolean => code < 128 && tokenCodes[code] === 1

export const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39

/** RFC 9110 §5.6.2: one `tchar` or more. */
export const isToken = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    if (!isTokenCode(text.charCodeAt(i))) return false
  }
  return text.length > 0
}

/** RFC 9110 §5.5: visible ASCII, space, tab and obs-text; never CR, LF or NUL. */
export const isFieldValue = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if ((code < 0x20 && code !== 0x09) || code === 0x7f || code > 0xff) return false
  }
  return true
}

/** Whether a string has a C0 control or DEL, which a URL parser would silently drop. */
export const hasControl = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x20 || code === 0x7f) return true
  }
  return false
}

const lowerCode = (code: number): number => code >= 0x41 && code <= 0x5a ? code + 0x20 : code

/** Compares with a string that is already in lower case, ignoring the case of ASCII letters only. */
export const equalsIgnoreCase = (text: string, lower: string): boolean => {
  if (text.length !== lower.length) return false
  for (let i = 0; i < text.length; i++) {
    if (lowerCode(text.charCodeAt(i)) !== lower.charCodeAt(i)) return false
  }
  return true
}

const isSpace = (code: number): boolean => code === 0x20 || code === 0x09

/** RFC 9110 §5.6.3: strips OWS from both ends (`trim` would strip much more). */
export const trimSpace = (text: string): string => {
  let start = 0
  let end = text.length
  while (start < end && isSpace(text.charCodeAt(start))) start++
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

export const skipSpace = (text: string, from: number): number => {
  let i = from
  while (i < text.length && isSpace(text.charCodeAt(i))) i++
  return i
}

/** The values of every line of one header, in order; `name` is in lower case. */
export const valuesOf = (headers: HeaderList, name: string): ReadonlyArray<string> => {
  let values: Array<string> | undefined
  for (let i = 0; i < headers.length; i++) {
    const header = headers[i]
    if (!equalsIgnoreCase(header[0], name)) continue
    if (values === undefined) values = [trimSpace(header[1])]
    else values.push(trimSpace(header[1]))
  }
  return values ?? none
}

// A dozen headers are looked for in a request, and half of them are there.
const none: ReadonlyArray<string> = []

/** Whether the lines of a list-valued header are together longer than the limit. */
export const isListTooLong = (values: ReadonlyArray<string>): boolean => {
  let length = 0
  for (const value of values) {
    length += value.length
    if (length > maxListLength) return true
  }
  return values.length > maxListEntries
}

/**
 * The elements of a comma-separated list, its lines taken as one; empty elements
 * are skipped (RFC 9110 §5.6.1.2). `undefined` where there are too many.
 */
export const splitList = (values: ReadonlyArray<string>): Array<string> | undefined => {
  if (isListTooLong(values)) return undefined
  const elements: Array<string> = []
  for (const value of values) {
    let start = 0
    while (start <= value.length) {
      const comma = value.indexOf(",", start)
      const end = comma === -1 ? value.length : comma
      const element = trimSpace(value.slice(start, end))
      if (element !== "") {
        if (elements.length === maxListEntries) return undefined
        elements.push(element)
      }
      start = end + 1
    }
  }
  return elements
}

/**
 * Whether a comma-separated list, its lines taken as one, has a token, ignoring case;
 * `token` is in lower case. `undefined` where there are too many. A list of one, which most
 * are, is not split.
 */
export const linesHave = (values: ReadonlyArray<string>, token: string): boolean | undefined => {
  if (values.length === 1 && equalsIgnoreCase(values[0], token)) return true
  const elements = splitList(values)
  return elements === undefined ? undefined : listHas(elements, token)
}

/** Whether a list of tokens has one, ignoring case; `token` is in lower case. */
export const listHas = (elements: ReadonlyArray<string>, token: string): boolean => {
  for (let i = 0; i < elements.length; i++) {
    if (equalsIgnoreCase(elements[i], token)) return true
  }
  return false
}

/** Quotes what came from the wire for a message: short, and without control characters. */
export const show = (text: string): string => JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text)
