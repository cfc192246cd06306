/**
 * The limits of one network address: open connections, and upgrades in a time. The time is passed
 * in, and the number of remembered addresses is bounded.
 *
 * An IPv4 address counts by itself, an IPv6 address by its first 64 bits, because a host with one
 * address of a network has all of them (RFC 4291 §2.5.1, RFC 7421).
 */

/** A burst of `count`, which is full again after `interval` milliseconds. */
export interface UpgradeRate {
  readonly count: number
  readonly interval: number
}

export interface AddressRules {
  readonly connections: number
  readonly upgrades: UpgradeRate | undefined
  readonly remembered: number
}

export class AddressLimits {
  private readonly rules: AddressRules
  private readonly open = new Map<string, number>()
  // When the burst of an address will be full again. Least recently used first.
  private readonly full = new Map<string, number>()

  constructor(rules: AddressRules) {
    this.rules = rules
  }

  /** How many addresses are remembered, besides those that have connections. */
  get remembered(): number {
    return this.full.size
  }

  /** How many connections a key has. */
  count(key: string): number {
    return this.open.get(key) ?? 0
  }

  /** Takes one upgrade. Returns 0, or the milliseconds until one can be taken again. */
  attempt(key: string, now: number): number {
    const rate = this.rules.upgrades
    if (rate === undefined) return 0
    // A token bucket as one number, the time at which it will be full: each upgrade moves it, and a
    // burst is how far ahead it may be.
    const each = rate.interval / rate.count
    const fullAt = Math.max(this.full.get(key) ?? now, now) + each
    const wait = fullAt - now - rate.interval
    // A thousandth of a millisecond allows for the rounding of the division.
    if (wait > 1e-3) return Math.min(wait, rate.interval)
    this.full.delete(key)
    this.full.set(key, fullAt)
    this.forget(now)
    return 0
  }

  /** Takes one connection of the address; `undefined` if it has too many. */
  enter(key: string): (() => void) | undefined {
    const count = this.count(key)
    if (count >= this.rules.connections) return undefined
    this.open.set(key, count + 1)
    return () => {
      const left = this.count(key) - 1
      if (left > 0) this.open.set(key, left)
      else this.open.delete(key)
    }
  }

  /** Forgets addresses that are full again and, above the bound, the least recent one. */
  private forget(now: number): void {
    for (const [key, fullAt] of this.full) {
      if (fullAt > now && this.full.size <= this.rules.remembered) break
      this.full.delete(key)
    }
  }
}

const groups = 8
const prefixGroups = 4

/** The key under which an address counts. Anything that is not an address counts as it is. */
export const addressKey = (address: string): string => {
  if (!address.includes(":")) return address.slice(0, longest)
  const parsed = parseIPv6(address)
  if (parsed === undefined) return address.slice(0, longest)
  // RFC 4291 §2.5.5.2: an IPv4 address, as a server that listens on both sees it.
  if (parsed.slice(0, 5).every((group) => group === 0) && parsed[5] === 0xffff) {
    return [parsed[6] >> 8, parsed[6] & 255, parsed[7] >> 8, parsed[7] & 255].join(".")
  }
  return `${parsed.slice(0, prefixGroups).map((group) => group.toString(16)).join(":")}::/64`
}

// A textual IPv6 address has at most 45 characters, and a zone may follow.
const longest = 64

/** RFC 4291 §2.2, without the zone of RFC 4007 §11. */
const parseIPv6 = (text: string): ReadonlyArray<number> | undefined => {
  if (text.length > longest) return undefined
  const zone = text.indexOf("%")
  const [before, after, more] = (zone === -1 ? text : text.slice(0, zone)).split("::")
  if (more !== undefined) return undefined
  const head = parseGroups(before, after === undefined)
  const tail = after === undefined ? [] : parseGroups(after, true)
  if (head === undefined || tail === undefined) return undefined
  const missing = groups - head.length - tail.length
  if (after === undefined ? missing !== 0 : missing < 1) return undefined
  return [...head, ...Array.from({ length: missing }, () => 0), ...tail]
}

/** The last group of an address may be an IPv4 address (§2.2, third form). */
const parseGroups = (text: string, isEnd: boolean): ReadonlyArray<number> | undefined => {
  if (text === "") return []
  const parsed: Array<number> = []
  const parts = text.split(":")
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]
    if (part.includes(".")) {
      const bytes = isEnd && i === parts.length - 1 ? parseIPv4(part) : undefined
      if (bytes === undefined) return undefined
      parsed.push((bytes[0] << 8) | bytes[1], (bytes[2] << 8) | bytes[3])
      continue
    }
    const value = digits(part, 16, 4)
    if (value === undefined) return undefined
    parsed.push(value)
  }
  return parsed
}

const parseIPv4 = (text: string): ReadonlyArray<number> | undefined => {
  const parts = text.split(".")
  const bytes: Array<number> = []
  for (const part of parts) {
    const byte = digits(part, 10, 3)
    if (byte === undefined || byte > 255) return undefined
    bytes.push(byte)
  }
  return bytes.length === 4 ? bytes : undefined
}

const digits = (text: string, radix: 10 | 16, most: number): number | undefined => {
  if (text.length === 0 || text.length > most) return undefined
  let value = 0
  for (let i = 0; i < text.length; i++) {
    const digit = "0123456789abcdef".indexOf(text[i].toLowerCase())
    if (digit === -1 || digit >= radix) return undefined
    value = value * radix + digit
  }
  return value
}
