import type { Violation } from "../peer.ts"

const frames: Readonly<Record<Violation, readonly [head: number, payload: ReadonlyArray<number>]>> = {
  // A text message of an overlong slash.
  InvalidUtf8: [0x81, [0xc0, 0xaf]],
  ContinuationUnexpected: [0x80, [0x61]]
}

/** The frame that breaks the rule; the mask is zero, which is one as good as any to test with. */
export const violationBytes = (violation: Violation, masked: boolean): Uint8Array => {
  const [head, payload] = frames[violation]
  const { length } = payload
  return Uint8Array.from(masked ? [head, 0x80 | length, 0, 0, 0, 0, ...payload] : [head, length, ...payload])
}
