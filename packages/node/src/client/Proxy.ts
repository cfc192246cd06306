/**
 * Proxies, by their URLs and by the environment's variables. Nothing here touches the network.
 */
import { WebSocketError } from "@effect-ws/core"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Net from "node:net"

/** A proxy on the way to a server. */
export interface Proxy {
  readonly kind: "http" | "socks5"
  /** Whether the connection to the proxy itself is TLS. */
  readonly isSecure: boolean
  /** An IPv6 address is without brackets. */
  readonly host: string
  readonly port: number
  /** Host and port as errors name them: never with credentials. */
  readonly name: string
  readonly credentials: { readonly user: string; readonly password: string } | undefined
}

/** How a program names its proxy. */
export type ProxyOption = string | URL | Redacted.Redacted<string> | "environment"

/** The value of an environment's variable. */
export type Environment = Readonly<Record<string, string | undefined>>

interface Scheme {
  readonly kind: Proxy["kind"]
  readonly isSecure: boolean
  readonly port: number
}

const schemes: ReadonlyMap<string, Scheme> = new Map([
  ["http:", { kind: "http", isSecure: false, port: 80 }],
  ["https:", { kind: "http", isSecure: true, port: 443 }],
  ["socks5:", { kind: "socks5", isSecure: false, port: 1080 }],
  // The h says that the proxy looks up the name, which all of ours do.
  ["socks5h:", { kind: "socks5", isSecure: false, port: 1080 }]
])

/** The proxy for a URL, `undefined` if there is none. The URL is http or https. */
export const proxyFor = (
  option: ProxyOption | undefined,
  url: URL,
  environment: Environment
): Result.Result<Proxy | undefined, WebSocketError.HandshakeError> => {
  if (option !== "environment") return option === undefined ? Result.succeed(undefined) : parse(option)
  const names = url.protocol === "https:" ? ["https_proxy", "all_proxy"] : ["http_proxy", "all_proxy"]
  const found = names.map((name) => variable(environment, name)).find((value) => value !== "")
  if (found === undefined || isExcepted(variable(environment, "no_proxy"), url)) return Result.succeed(undefined)
  return parse(found)
}

/** The name in lower case is the common one, and is preferred. An empty value is none. */
const variable = (environment: Environment, name: string): string =>
  (environment[name] || environment[name.toUpperCase()] || "").trim()

/** Parses the URL of a proxy. Without a scheme it is an HTTP proxy. */
export const parse = (
  input: Exclude<ProxyOption, "environment">
): Result.Result<Proxy, WebSocketError.HandshakeError> => {
  const text = Redacted.isRedacted(input) ? Redacted.value(input) : String(input)
  const url = URL.parse(text.includes("://") ? text : `http://${text}`)
  // The error quotes nothing of it: there may be a password.
  if (url === null || url.hostname === "") return invalid("UrlInvalid", "the proxy's URL cannot be parsed")
  const scheme = schemes.get(url.protocol)
  if (scheme === undefined) {
    return invalid("UrlScheme", "the proxy's URL is none of http, https, socks5 and socks5h")
  }
  const credentials = credentialsOf(url)
  if (credentials === "malformed") {
    return invalid("UrlInvalid", "the user or password of the proxy's URL is not percent-encoded UTF-8")
  }
  if (credentials !== undefined && scheme.kind === "socks5" && !isSocksLogin(credentials)) {
    return invalid("UrlInvalid", "user and password of a SOCKS5 proxy have between 1 and 255 bytes")
  }
  const port = url.port === "" ? scheme.port : Number(url.port)
  const { isSecure, kind } = scheme
  return Result.succeed({ kind, isSecure, host: unbracketed(url.hostname), port, name: `${url.hostname}:${port}`, credentials })
}

const invalid = (reason: "UrlInvalid" | "UrlScheme", detail: string) =>
  Result.fail(new WebSocketError.HandshakeError({ reason, section: "RFC 6455 §4.1", detail, headers: [], body: "" }))

const credentialsOf = (url: URL): Proxy["credentials"] | "malformed" => {
  if (url.username === "" && url.password === "") return undefined
  try {
    return { user: decodeURIComponent(url.username), password: decodeURIComponent(url.password) }
  } catch {
    return "malformed"
  }
}

// RFC 1929 §2: both lengths are one byte, and 1 to 255.
const isSocksLogin = ({ password, user }: { readonly user: string; readonly password: string }): boolean =>
  [user, password].every((text) => text !== "" && Buffer.byteLength(text) <= 255)

/** A URL's host as the network takes it: an IPv6 address without brackets. */
export const unbracketed = (host: string): string => host.startsWith("[") ? host.slice(1, -1) : host

/** The port of an http or https URL. */
export const portOf = (url: URL): number => url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port)

/** Whether `NO_PROXY` names the URL's host. */
const isExcepted = (list: string, url: URL): boolean => {
  const host = withoutDot(unbracketed(url.hostname).toLowerCase())
  const port = portOf(url)
  return list.split(",").flatMap((part) => part.split(" ")).some((entry) => entry !== "" && names(entry.toLowerCase(), host, port))
}

const names = (entry: string, host: string, port: number): boolean => {
  if (entry === "*") return true
  const [name, only] = splitPort(entry)
  if (only !== undefined && only !== port) return false
  if (Net.isIP(host) !== 0) return namesAddress(name, host)
  const suffix = name.startsWith("*.") ? name.slice(1) : name
  if (suffix.startsWith(".") && suffix.length > 1) return host.endsWith(withoutDot(suffix))
  const whole = withoutDot(suffix)
  return whole !== "" && (host === whole || host.endsWith(`.${whole}`))
}

/** A port follows the only colon, or the bracket after an IPv6 address. */
const splitPort = (entry: string): readonly [name: string, port: number | undefined] => {
  const end = entry.startsWith("[") ? entry.indexOf("]") : -1
  const name = end > 0 ? entry.slice(1, end) : entry
  const rest = end > 0 ? entry.slice(end + 1) : entry
  const colon = rest.lastIndexOf(":")
  if (colon === -1 || (end <= 0 && rest.indexOf(":") !== colon)) return [name, undefined]
  return [end > 0 ? name : entry.slice(0, colon), Number(rest.slice(colon + 1))]
}

/** An address, or a network such as 10.0.0.0/8. */
const namesAddress = (name: string, host: string): boolean => {
  const slash = name.indexOf("/")
  const address = slash === -1 ? name : name.slice(0, slash)
  const family = familyOf(address)
  if (family === undefined || family !== familyOf(host)) return false
  const bits = slash === -1 ? (family === "ipv4" ? 32 : 128) : Number(name.slice(slash + 1))
  if (!Number.isInteger(bits) || bits < 0 || bits > (family === "ipv4" ? 32 : 128)) return false
  const network = new Net.BlockList()
  network.addSubnet(address, bits, family)
  return network.check(host, family)
}

const familyOf = (address: string): "ipv4" | "ipv6" | undefined => {
  const version = Net.isIP(address)
  return version === 4 ? "ipv4" : version === 6 ? "ipv6" : undefined
}

const withoutDot = (name: string): string => name.endsWith(".") ? name.slice(0, -1) : name
