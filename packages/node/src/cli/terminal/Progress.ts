/**
 * A line on stderr that shows progress, and disappears at the end.
 */
import type { Style } from "./Style.ts"

export interface Progress {
  /** `part` is between 0 and 1. */
  readonly show: (part: number, text: string) => void
  /** Writes a line that stays. */
  readonly line: (text: string) => void
  readonly end: () => void
}

const barWidth = 24
const eighths = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]
const interval = 50

export const bar = (part: number, width = barWidth): string => {
  const filled = Math.max(0, Math.min(1, part)) * width
  const whole = Math.floor(filled)
  return `${"█".repeat(whole)}${eighths[Math.floor((filled - whole) * 8)]!}`.padEnd(width)
}

/** Outside a terminal only the lines that stay are written. */
export const make = (
  stream: { readonly isTTY?: boolean; readonly columns?: number; write(text: string): unknown },
  style: Style
): Progress => {
  const isShown = stream.isTTY === true && process.env["TERM"] !== "dumb"
  let shownAt = 0
  let isThere = false
  const clear = () => {
    if (isThere) stream.write("\r\u001B[K")
    isThere = false
  }
  return {
    show: (part, text) => {
      const now = performance.now()
      if (!isShown || now - shownAt < interval) return
      shownAt = now
      const room = Math.max(0, (stream.columns ?? 80) - barWidth - 4)
      stream.write(`\r\u001B[K${style.cyan(bar(part))} ${text.length > room ? `${text.slice(0, room - 1)}…` : text}`)
      isThere = true
    },
    line: (text) => {
      clear()
      stream.write(`${text}\n`)
    },
    end: clear
  }
}
