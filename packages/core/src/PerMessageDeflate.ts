/**
 * permessage-deflate (RFC 7692): messages compressed with DEFLATE, as an extension for both
 * roles. The {@link Codec} of the platform deflates and inflates; a `CompressionBudget` bounds
 * its memory.
 *
 * **Gotchas**
 *
 * Compression makes the length of a message depend on its contents. If one message (or, as
 * long as contexts are kept, one connection) has both a secret and text that an attacker
 * chooses, and the attacker sees lengths, the secret can be guessed (CRIME, BREACH). So
 * servers do not compress by default, and `compress` can exclude messages with secrets:
 * they are sent as they are, and no later message refers to them.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type CompressionBudget, CurrentBudget } from "./CompressionBudget.ts"
import { Codec } from "./deflate/Codec.ts"
import { makeTransform, minCompressorBits } from "./deflate/DeflateTransform.ts"
import type { Message } from "./Message.ts"
import type { MessageExtension } from "./MessageExtension.ts"
import { agreeAnswer, answerOffer, extensionName, makeOffer, type Wishes } from "./deflate/Parameters.ts"

export {
  Codec,
  type Compressor,
  type CompressorOptions,
  type Decompressor,
  type DecompressorOptions
} from "./deflate/Codec.ts"

/**
 * The size of an LZ77 window, as its base-2 logarithm (RFC 7692 §7.1.2). 8 exists on the
 * wire, but zlib cannot make it.
 *
 * @category models
 * @since 0.1.0
 */
export type WindowBits = 9 | 10 | 11 | 12 | 13 | 14 | 15

/**
 * How messages are compressed. `own` is what this side sends, `peer` what it receives.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * Messages with fewer bytes are sent as they are; streamed ones are compressed. A
   * lower threshold saves few bytes and costs a call of the codec a message. Default
   * 1 KiB.
   */
  readonly threshold?: number | undefined
  /**
   * From 1, the fastest, to 9, the smallest. Default 4: 6 to 8 % more bytes than with
   * zlib's own default, 6, in two thirds of its time.
   */
  readonly level?: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | undefined
  /**
   * How much memory a compressor uses besides its window, 1 to 9. Default 8.
   */
  readonly memLevel?: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | undefined
  /**
   * The largest windows. A smaller one takes less memory and finds fewer repetitions.
   * Where `peer` is below 15, a peer that cannot be held to it is not compressed with:
   * a client fails if the server does not accept it, a server declines. Default 15.
   */
  readonly windowBits?: { readonly own?: WindowBits | undefined; readonly peer?: WindowBits | undefined } | undefined
  /**
   * Whether each message is compressed by itself. It then takes no memory between
   * messages, and small messages hardly get smaller. A client with `peer` fails if the
   * server does not accept it. Default false.
   */
  readonly noContextTakeover?: { readonly own?: boolean | undefined; readonly peer?: boolean | undefined } | undefined
  /**
   * Whether to compress a message that reaches the threshold; `undefined` is one that is
   * sent from a stream. Return false for messages with secrets. Default: always.
   */
  readonly compress?: ((message: Message | undefined) => boolean) | undefined
}

// Measured on JSON of 1 and 16 KiB, prose of 2 KiB and source code of 8 KiB, with kept
// contexts: against level 1, level 4 sends 8 to 19 % fewer bytes for 15 to 38 % more time;
// level 6 14 to 24 % fewer for 86 to 112 % more; levels 7 to 9 another 0 to 4 % fewer for
// up to four times the time. Two thirds of what there is to gain for a quarter of its
// price, and it is paid on the thread that serves everybody. Level 4 also has no slow
// inputs: 64 KiB of the worst take 2 ms, against 16 at level 6 and 215 at level 9.
const defaultLevel = 4
const defaultMemLevel = 8
const defaultThreshold = 1024
const largestBits = 15

const within = (name: string, value: number, least: number, most: number): number => {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw new RangeError(`${name} must be an integer from ${least} to ${most}, not ${String(value)}`)
}

/**
 * Makes the extension from a codec, a budget and options.
 *
 * **When to use**
 *
 * Outside of Effect, or with several codecs. Otherwise use {@link extension}.
 *
 * **Details**
 *
 * One extension serves any number of connections of both roles. Options out of their
 * range throw a `RangeError`: they come from the program, not from the wire.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (codec: Codec["Service"], budget: CompressionBudget, options: Options = {}): MessageExtension => {
  const shared = {
    codec,
    budget,
    level: within("level", options.level ?? defaultLevel, 1, 9),
    memLevel: within("memLevel", options.memLevel ?? defaultMemLevel, 1, 9),
    threshold: options.threshold ?? defaultThreshold,
    compress: options.compress ?? (() => true)
  }
  const wishes: Wishes = {
    ownBits: within("windowBits.own", options.windowBits?.own ?? largestBits, minCompressorBits, largestBits),
    peerBits: within("windowBits.peer", options.windowBits?.peer ?? largestBits, minCompressorBits, largestBits),
    ownNoTakeover: options.noContextTakeover?.own ?? false,
    peerNoTakeover: options.noContextTakeover?.peer ?? false
  }
  // Our own compressor can forget its context without an agreement; the peer's window needs one.
  const frugal: Wishes = { ...wishes, peerNoTakeover: true }
  const wishesNow = (): Wishes | undefined => {
    if (!codec.available) return undefined
    const room = budget.room(codec.decompressorBytes({ windowBits: wishes.peerBits }))
    return room === "none" ? undefined : room === "keep" ? wishes : frugal
  }
  return {
    name: extensionName,
    get offers() {
      const now = wishesNow()
      return now === undefined ? [] : [makeOffer(now)]
    },
    // Checked against the options only. What was asked for because of the budget is a wish: a server that
    // does not grant it costs memory, nothing else.
    agree: (answer) =>
      Result.map(agreeAnswer(answer.params, wishes), (agreement) => ({ open: () => makeTransform(shared, agreement) })),
    answer: (offer) => {
      const now = wishesNow()
      const answered = now === undefined ? undefined : answerOffer(offer.params, now)
      if (answered === undefined || Result.isFailure(answered)) return undefined
      const { agreement, params } = answered.success
      return { params, open: () => makeTransform(shared, agreement) }
    }
  }
}

/**
 * Makes the extension from the platform's {@link Codec} and `CompressionBudget.CurrentBudget`.
 *
 * **Example** (Compression without memory between messages)
 *
 * ```ts
 * import { PerMessageDeflate } from "@effect-ws/core"
 *
 * export const deflate = PerMessageDeflate.extension({
 *   noContextTakeover: { own: true, peer: true },
 *   compress: (message) => typeof message !== "string" || !message.includes("\"token\"")
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const extension = (options?: Options): Effect.Effect<MessageExtension, never, Codec> =>
  Effect.gen(function*() {
    return make(yield* Codec, yield* CurrentBudget, options)
  })

/**
 * The extensions that a `compression` option asks for; none if the platform has no
 * {@link Codec}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromOption = (compression: boolean | Options): Effect.Effect<ReadonlyArray<MessageExtension>> =>
  compression === false ? Effect.succeed([]) : Effect.gen(function*() {
    const codec = yield* Effect.serviceOption(Codec)
    if (codec._tag === "None") return []
    return [make(codec.value, yield* CurrentBudget, compression === true ? {} : compression)]
  })
