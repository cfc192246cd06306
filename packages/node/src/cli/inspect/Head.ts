/**
 * The head of an HTTP/1.1 message as it is on the wire: finds it among bytes, parses it and encodes it again.
 */

/** The first line and the header lines, with their names and order as they were sent. */
export interface Head {
  readonly start: string
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
}

const longest = 64 * 1024

const parse = (text: string): Head => {
  const [start = "", ...lines] = text.split("\r\n")
  const headers = lines.map((line): readonly [string, string] => {
    const colon = line.indexOf(":")
    return colon < 0 ? [line, ""] : [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
  return { start, headers }
}

/** Its bytes, with the empty line at the end. */
export const encode = ({ headers, start }: Head): Buffer =>
  Buffer.from([start, ...headers.map(([name, value]) => `${name}: ${value}`), "", ""].join("\r\n"), "latin1")

export const valuesOf = ({ headers }: Head, name: string): ReadonlyArray<string> =>
  headers.filter(([given]) => given.toLowerCase() === name).map(([, value]) => value)

/** Replaces the headers of the same name, or adds the header at the end. */
export const withHeader = (head: Head, name: string, value: string): Head => {
  const lower = name.toLowerCase()
  const at = head.headers.findIndex(([given]) => given.toLowerCase() === lower)
  const others = head.headers.filter(([given], index) => index === at || given.toLowerCase() !== lower)
  return at < 0
    ? { ...head, headers: [...others, [name, value]] }
    : { ...head, headers: others.map((line) => line[0].toLowerCase() === lower ? [line[0], value] : line) }
}

/** The status of a response; `undefined` if the first line is not that of a response. */
export const statusOf = ({ start }: Head): number | undefined => {
  const [version, status] = start.split(" ")
  const code = Number(status)
  return version?.startsWith("HTTP/") === true && Number.isInteger(code) && code >= 100 && code < 1000 ? code : undefined
}

/** Finds the end of a head in bytes that arrive in chunks of any size. */
export class HeadReader {
  private chunks: Array<Uint8Array> = []
  private size = 0
  private matched = 0

  /** The head, and the bytes after it; `undefined` while it is incomplete, `"too long"` above the limit. */
  push(chunk: Uint8Array): { readonly head: Head; readonly rest: Uint8Array } | "too long" | undefined {
    const ending = [13, 10, 13, 10]
    for (let at = 0; at < chunk.length; at++) {
      const octet = chunk[at]!
      this.matched = octet === ending[this.matched] ? this.matched + 1 : octet === 13 ? 1 : 0
      if (this.matched < ending.length) continue
      this.chunks.push(chunk.subarray(0, at + 1))
      const bytes = Buffer.concat(this.chunks)
      this.chunks = []
      this.size = this.matched = 0
      return { head: parse(bytes.subarray(0, -4).toString("latin1")), rest: chunk.subarray(at + 1) }
    }
    this.chunks.push(chunk)
    this.size += chunk.length
    return this.size > longest ? "too long" : undefined
  }
}
