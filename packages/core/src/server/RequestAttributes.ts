/** What spans and log lines say of a request. */
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type { Attributes } from "../connection/Observer.ts"
import type { Upgrade } from "./Upgrades.ts"

/** The attributes for a request. Queries are left out, because they often hold a token. */
export const attributesOf = (
  request: HttpServerRequest.HttpServerRequest,
  upgrade: Upgrade | undefined
): Attributes => ({
  ...(request.remoteAddress._tag === "Some" && { "client.address": request.remoteAddress.value }),
  "url.path": pathOf(request.originalUrl),
  ...(upgrade !== undefined && { "url.scheme": upgrade.request.secure === true ? "wss" : "ws" })
})

/** The path of a URL, absolute or not. */
const pathOf = (url: string): string => {
  const scheme = url.startsWith("/") ? -1 : url.indexOf("://")
  const start = scheme === -1 ? 0 : url.indexOf("/", scheme + 3)
  const query = url.indexOf("?")
  return url.slice(start === -1 ? url.length : start, query === -1 ? url.length : query)
}
