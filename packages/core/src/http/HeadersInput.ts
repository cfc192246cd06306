/** Headers as callers give them, and the lines that they mean. */
import type { HeaderList } from "./Tokens.ts"

/**
 * Headers to send: a list of lines, in which a name may be repeated, or a record, in which
 * a list of values stands for one line each. Effect's `Headers.Input` fits.
 *
 * @category models
 * @since 0.1.0
 */
export type HeadersInput =
  | Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  | Iterable<readonly [name: string, value: string]>

/** The lines, in order; names as they were given. */
export const toHeaderList = (headers: HeadersInput | undefined): HeaderList => {
  if (headers === undefined) return []
  if (isIterable(headers)) return Array.isArray(headers) ? headers as HeaderList : [...headers]
  const lines: Array<readonly [string, string]> = []
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === "string") lines.push([name, value])
    else if (value !== undefined) for (const one of value) lines.push([name, one])
  }
  return lines
}

const isIterable = (headers: HeadersInput): headers is Iterable<readonly [string, string]> => Symbol.iterator in headers
