/**
 * A second opinion on heads: RFC 9112's grammar to the letter and the rules of RFC 6455 §4.2.1, written for clarity and
 * from the RFCs alone. What a proxy in front and the server behind it read differently is how requests are smuggled.
 */

// RFC 9110 §5.6.2
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
// RFC 9112 §3.2.1 and §3.2.2
const path = /^\/[\x21\x22\x24-\x7e]*$/
const absolute = /^https?:\/\/[^/?#@\s]+(\/[\x21\x22\x24-\x7e]*)?(\?[\x21\x22\x24-\x7e]*)?$/i
const host = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+,;=]+)(?::\d{0,5})?$/

export type Judgement = { readonly isUpgrade: true } | { readonly isUpgrade: false; readonly why: string }

/** RFC 9110 §5.5: visible characters, obs-text, spaces and tabs. */
const isValue = (text: string): boolean =>
  [...text].every((char) => {
    const code = char.charCodeAt(0)
    return (code >= 0x20 && code !== 0x7f && code <= 0xff) || code === 0x09
  })

const refused = (why: string): Judgement => ({ isUpgrade: false, why })

const elements = (values: ReadonlyArray<string>): ReadonlyArray<string> =>
  values.flatMap((line) => line.split(",")).map((element) => element.replace(/^[ \t]+|[ \t]+$/g, "")).filter((element) => element !== "")

/** Whether a text, each character a byte, begins with the head of a request that becomes a WebSocket. */
export const judge = (text: string): Judgement => {
  // §2.2: a server SHOULD ignore at least one empty line in front of the request line, and may take a LF for its end.
  let rest = text
  while (rest.startsWith("\r\n") || rest.startsWith("\n")) rest = rest.slice(rest.startsWith("\n") ? 1 : 2)
  const end = rest.indexOf("\r\n\r\n")
  if (end === -1) return refused("the head does not end")
  const [requestLine, ...fieldLines] = rest.slice(0, end).split("\r\n")
  if (/[\r\n]/.test(rest.slice(0, end).replaceAll("\r\n", ""))) return refused("a bare CR or LF")

  // §3: a server MAY take several spaces for one.
  const parts = requestLine.split(/ +/)
  if (parts.length !== 3) return refused("the request line has not three parts")
  const [method, target, version] = parts
  if (method !== "GET") return refused("the method is not GET")
  if (!path.test(target) && !absolute.test(target)) return refused("the target is none")
  if (version !== "HTTP/1.1") return refused("the version is not HTTP/1.1")

  const fields: Array<readonly [name: string, value: string]> = []
  for (const line of fieldLines) {
    const colon = line.indexOf(":")
    if (colon === -1) return refused("a line without a colon")
    const name = line.slice(0, colon)
    // §5.1: no space between name and colon; §5.2: no line folding
    if (!token.test(name)) return refused("a name that is no token")
    const content = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, "")
    if (!isValue(content)) return refused("a value with a control character")
    fields.push([name.toLowerCase(), content])
  }
  const all = (name: string) => fields.filter(([other]) => other === name).map(([, content]) => content)
  const one = (name: string) => all(name).length === 1 ? all(name)[0] : undefined

  const hosts = all("host")
  if (hosts.length !== 1 || !host.test(hosts[0])) return refused("not exactly one Host")
  if (all("transfer-encoding").length > 0) return refused("a Transfer-Encoding")
  if (all("content-length").some((length) => length !== "0")) return refused("a Content-Length")
  if (!elements(all("upgrade")).some((element) => element.toLowerCase() === "websocket")) return refused("no Upgrade")
  if (!elements(all("connection")).some((element) => element.toLowerCase() === "upgrade")) return refused("no Connection")
  if (one("sec-websocket-version") !== "13") return refused("not exactly version 13")
  if (!/^[A-Za-z0-9+/]{22}==$/.test(one("sec-websocket-key") ?? "")) return refused("not exactly one key")
  if (elements(all("expect")).some((element) => element.toLowerCase() !== "100-continue")) return refused("an expectation")
  const subprotocols = all("sec-websocket-protocol")
  const offered = elements(subprotocols)
  if (subprotocols.length > 0 && (offered.length === 0 || !offered.every((name) => token.test(name)))) {
    return refused("subprotocols that are no tokens")
  }
  if (new Set(offered).size !== offered.length) return refused("a subprotocol twice")
  return { isUpgrade: true }
}
