/**
 * Request targets (RFC 9112 §3.2), as far as a GET has them: a path from the root, or a whole URL.
 */

/** Printable ASCII without spaces, and without a fragment, which no target has. */
const isPlain = (target: string): boolean => {
  for (let i = 0; i < target.length; i++) {
    const code = target.charCodeAt(i)
    if (code <= 0x20 || code >= 0x7f || code === 0x23) return false
  }
  return true
}

/** RFC 9112 §3.2.1: a path and perhaps a query. */
export const isOriginForm = (target: string): boolean => target.startsWith("/") && isPlain(target)

/** RFC 9112 §3.2.2: the authority of a whole URL, which may be invalid; `undefined` for what is none of http or https. */
export const authorityOf = (target: string): string | undefined => {
  const scheme = target.slice(0, 8).toLowerCase()
  const start = scheme.startsWith("http://") ? 7 : scheme === "https://" ? 8 : undefined
  if (start === undefined || !isPlain(target)) return undefined
  let end = start
  while (end < target.length && target[end] !== "/" && target[end] !== "?") end++
  return target.slice(start, end)
}
