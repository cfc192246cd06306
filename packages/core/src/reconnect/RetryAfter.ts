/** How long a server asks its clients to wait (RFC 9110 §10.2.3). */
import type { HeaderList } from "../http/Tokens.ts"

/** The longest delay that is respected: an hour. */
const most = 3_600_000

/** The delay in milliseconds after `now`, at most an hour; `undefined` if the header is missing or invalid. */
export const retryAfter = (headers: HeaderList, now: number): number | undefined => {
  const line = headers.find(([name]) => name.toLowerCase() === "retry-after")
  if (line === undefined) return undefined
  const value = line[1].trim()
  const seconds = digits(value)
  const millis = seconds === undefined ? date(value) - now : seconds * 1000
  return Number.isNaN(millis) ? undefined : Math.min(most, Math.max(0, millis))
}

/** Dates of RFC 9110 §5.6.7 end like this; other texts that the platform parses as dates are not accepted. */
const date = (value: string): number => value.endsWith(" GMT") && value.length <= 64 ? Date.parse(value) : Number.NaN

/** The value of a string of ASCII digits. */
const digits = (value: string): number | undefined => {
  if (value === "" || value.length > 32) return undefined
  let result = 0
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return undefined
    result = result * 10 + digit
  }
  return result
}
