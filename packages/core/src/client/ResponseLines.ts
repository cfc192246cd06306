/**
 * The header lines of an `HttpClient`'s answer. Effect's `Headers` join the lines of one name,
 * which turns two cookies into one. The platform's answer, which Effect's clients keep, still has
 * separate lines.
 */
import * as Cookies from "effect/http/Cookies"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import { type HeadersInput, toHeaderList } from "../http/HeadersInput.ts"
import type { HeaderList } from "../http/Tokens.ts"

// Clients that wrap another's response keep it as `original`.
const maxWrappers = 8

const property = (of: unknown, name: string): unknown =>
  typeof of === "object" && of !== null ? Reflect.get(of, name) : undefined

/** The lines as they were received. If the client keeps only `Headers`, cookies are separate and others joined. */
export const linesOf = (response: HttpClientResponse.HttpClientResponse): HeaderList => {
  let current: unknown = response
  for (let depth = 0; depth < maxWrappers && current !== undefined; depth++) {
    const lines = keptBy(property(current, "source"))
    if (lines !== undefined) return lines
    current = property(current, "original")
  }
  const joined = Object.entries(response.headers).filter(([name]) => name !== "set-cookie")
  return [...joined, ...Cookies.toSetCookieHeaders(response.cookies).map((cookie) => ["set-cookie", cookie] as const)]
}

/** The headers of an answer of node:http, undici or fetch: a flat list, a record with lists, or pairs. */
const keptBy = (source: unknown): HeaderList | undefined => {
  const raw = property(source, "rawHeaders")
  if (Array.isArray(raw)) {
    const lines: Array<readonly [string, string]> = []
    for (let i = 0; i + 1 < raw.length; i += 2) lines.push([String(raw[i]), String(raw[i + 1])])
    return lines
  }
  const headers = property(source, "headers")
  return typeof headers === "object" && headers !== null ? toHeaderList(headers as HeadersInput) : undefined
}
