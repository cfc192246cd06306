/**
 * Removes credentials from heads: in headers, and in the query of the request's target.
 */
import type { Head } from "./Head.ts"

export const masked = "***"

const headers = new Set([
  "authorization",
  "proxy-authorization",
  "cookie",
  "set-cookie",
  "x-api-key",
  "x-auth-token",
  "x-csrf-token"
])

/** Parts of the names of parameters that hold secrets. */
const words = ["token", "secret", "key", "auth", "pass", "pwd", "sig", "ticket", "jwt", "session", "code"]

const isSecret = (name: string): boolean => {
  const lower = name.toLowerCase()
  return words.some((word) => lower.includes(word))
}

const maskQuery = (target: string): string => {
  const question = target.indexOf("?")
  if (question < 0) return target
  const parameters = target.slice(question + 1).split("&").map((parameter) => {
    const equals = parameter.indexOf("=")
    return equals > 0 && isSecret(parameter.slice(0, equals)) ? `${parameter.slice(0, equals)}=${masked}` : parameter
  })
  return `${target.slice(0, question)}?${parameters.join("&")}`
}

/** Keeps a scheme such as `Bearer`, which is useful and no secret. */
const maskValue = (name: string, value: string): string => {
  if (!name.endsWith("authorization")) return masked
  const space = value.indexOf(" ")
  return space > 0 ? `${value.slice(0, space)} ${masked}` : masked
}

/**
 * A head that can be shown and recorded. `Sec-WebSocket-Key` stays: it is no secret, and the response is checked with it.
 * Tokens that browsers send as subprotocols stay too, since they look like names.
 */
export const mask = ({ headers: lines, start }: Head): Head => ({
  start: start.startsWith("HTTP/") ? start : start.split(" ").map((part, index) => index === 1 ? maskQuery(part) : part).join(" "),
  headers: lines.map(([name, value]) => {
    const lower = name.toLowerCase()
    return headers.has(lower) ? [name, maskValue(lower, value)] : [name, value]
  })
})
