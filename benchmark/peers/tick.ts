/** The ticks of a feed: numbered, with the time, and as long as asked for. Environment: RATE (a second) and SIZE. */
const { RATE, SIZE } = process.env

export const everyMillis = 1000 / Number(RATE)

let seq = 0
const padding = "0123456789".repeat(Math.ceil(Number(SIZE) / 10)).slice(0, Math.max(0, Number(SIZE) - 48))

export const next = (): string => {
  const at = Math.round(1000 * (performance.timeOrigin + performance.now()))
  return JSON.stringify({ seq: seq++, at, padding })
}

/** A client with more than this unsent misses ticks. */
export const mostUnsent = 64 * 1024
