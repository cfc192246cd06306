/**
 * URLs without a scheme, which the base URL of an `HttpClient` completes.
 */

// A placeholder for the origin of the base URL.
export const relativeBase = "http://relative.invalid"

export const isRelative = (url: string | URL): url is string => typeof url === "string" && !hasScheme(url)

// RFC 3986 §3.1: a scheme ends at the first colon, which no slash precedes.
const hasScheme = (url: string): boolean => {
  const colon = url.indexOf(":")
  if (colon <= 0) return false
  const slash = url.indexOf("/")
  return slash === -1 || colon < slash
}
