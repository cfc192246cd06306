/**
 * Messages that are sent fragment by fragment (RFC 6455 §5.4): those of a stream, and those so large
 * that an extension encodes them in slices. Other data waits until the last fragment is sent.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { byteLength, type Message } from "../Message.ts"
import { failsAtEnd } from "./Ended.ts"
import { type Begun, type HeldLink, holding, inTurn } from "./Holding.ts"
import type { Kind } from "./Pieces.ts"
import type { Outcome, SendError, Turns } from "./Sending.ts"

/** A link that sends fragments. */
export interface FragmentingLink extends HeldLink {
  readonly isOpen: boolean
  readonly protocol: {
    readonly outbound: {
      /** The most bytes to send at once. */
      readonly sliceSize: number
      /** Begins a message in fragments; returns whether an extension transforms it. */
      beginFragments(type: Kind, message?: Message): boolean
    }
    sendFragment(type: Kind, payload: Message, last: boolean): void
  }
  /** Appends a payload if there is room for it, and its turn of the event loop has come. */
  data(payload: Message, append: () => void): Outcome
}

const noBytes = new Uint8Array(0)

/** Sends one message from a stream of its fragments. */
export const sendStream = <E, R>(
  link: FragmentingLink,
  writer: Turns,
  kind: Kind,
  fragments: Stream.Stream<Message, E, R>
): Effect.Effect<void, SendError | E, R> =>
  holding(writer, (message) => {
    const pairs = new SurrogatePairs()
    const sendFrom = (payloads: NonEmptyReadonlyArray<Message>, from: number): Effect.Effect<void, SendError> => {
      const sent = slices(link, writer, message, kind, pairs.join(payloads[from]), false)
      return from + 1 === payloads.length ? sent : Effect.flatMap(sent, () => sendFrom(payloads, from + 1))
    }
    return Stream.runForEachArray(fragments, (payloads) => sendFrom(payloads, 0)).pipe(
      Effect.flatMap(() =>
        Effect.suspend(() => fragment(link, writer, message, kind, kind === "text" ? pairs.carry : noBytes, true))
      ),
      Effect.raceFirst(failsAtEnd(writer))
    )
  })

/**
 * Sends a message so large that an extension works on it in slices. Until there is room for
 * its first byte an interruption takes it back; from then on the connection sends the rest by
 * itself: the caller asked for one message, not for a connection that closes.
 */
export const sendSliced = (
  link: FragmentingLink,
  writer: Turns,
  message: Message,
  accepted: (() => void) | undefined
): Effect.Effect<void, SendError> =>
  Effect.withFiber((sender) => {
    const kind: Kind = typeof message === "string" ? "text" : "binary"
    let isBegun = false
    const begin = (begun: Begun) =>
      Effect.suspend(() => {
        if (!link.isOpen) return writer.fail()
        isBegun = true
        accepted?.()
        return link.protocol.outbound.beginFragments(kind, message)
          ? slices(link, writer, begun, kind, message, true)
          : fragment(link, writer, begun, kind, message, true)
      })
    const room = inTurn(link, writer, () => link.data(message, () => {}))
    const fiber = Effect.runForkWith(sender.context)(holding(writer, (begun) => Effect.andThen(room, begin(begun))))
    return Effect.callback<void, SendError>((resume) => {
      const exit = fiber.pollUnsafe()
      if (exit !== undefined) return resume(exit)
      fiber.addObserver(resume)
      return Effect.suspend(() => isBegun ? Effect.void : Fiber.interrupt(fiber))
    })
  })

/** Sends a payload as fragments of at most a slice; between those that are encoded others run. */
const slices = (
  link: FragmentingLink,
  writer: Turns,
  message: Begun,
  kind: Kind,
  payload: Message,
  last: boolean
): Effect.Effect<void, SendError> => {
  const size = link.protocol.outbound.sliceSize
  const sliceFrom = (from: number): Effect.Effect<void, SendError> => {
    const to = cut(payload, from, size)
    const end = to === payload.length
    const slice = from === 0 && end ? payload : part(payload, from, to)
    const sent = slice.length === 0 && !last ? Effect.void : fragment(link, writer, message, kind, slice, last && end)
    return end ? sent : Effect.flatMap(sent, () => sliceFrom(to))
  }
  return sliceFrom(0)
}

const fragment = (
  link: FragmentingLink,
  writer: Turns,
  message: Begun,
  kind: Kind,
  payload: Message,
  last: boolean
): Effect.Effect<void, SendError> =>
  inTurn(link, writer, () =>
    link.data(payload, () => {
      link.protocol.sendFragment(kind, payload, last)
      message.begun = !last
    }))

const part = (payload: Message, from: number, to: number): Message =>
  typeof payload === "string" ? payload.slice(from, to) : payload.subarray(from, to)

/** The end of a slice of at most `size` bytes that begins at `from`; not between two surrogates. */
const cut = (payload: Message, from: number, size: number): number => {
  let to = Math.min(from + size, payload.length)
  if (typeof payload !== "string" || size === Infinity) return to
  if ((to - from) * 3 > size && byteLength(payload.slice(from, to)) > size) to = from + Math.max(1, Math.floor(size / 3))
  if (to === payload.length) return to
  const last = payload.charCodeAt(to - 1)
  // At least one step forward, however small the slices are.
  return last >= 0xd800 && last <= 0xdbff ? to - 1 > from ? to - 1 : to + 1 : to
}

/** Keeps surrogate pairs of a streamed text together: half a pair becomes U+FFFD. */
class SurrogatePairs {
  carry = ""

  join(payload: Message): Message {
    if (typeof payload !== "string") return payload
    const text = this.carry + payload
    const last = text.charCodeAt(text.length - 1)
    this.carry = last >= 0xd800 && last <= 0xdbff ? text.slice(-1) : ""
    return this.carry === "" ? text : text.slice(0, -1)
  }
}
