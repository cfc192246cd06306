/**
 * The six opcodes of RFC 6455 §5.2. Opcodes 3-7 (data) and 11-15 (control) are
 * reserved and have no value here: a frame that carries one is refused.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * The opcode of a frame, as its number on the wire (RFC 6455 §5.2).
 *
 * **Example** (Decoding an opcode)
 *
 * ```ts
 * import { Opcode } from "@effect-ws/core"
 * import { Schema } from "effect"
 *
 * console.log(Schema.is(Opcode.Opcode)(Opcode.Ping)) // true
 * console.log(Schema.is(Opcode.Opcode)(3)) // false: reserved
 * ```
 *
 * @category schemas
 * @since 0.1.0
 */
export const Opcode = Schema.Literals([0x0, 0x1, 0x2, 0x8, 0x9, 0xa])

/**
 * The type of {@link Opcode}.
 *
 * @category models
 * @since 0.1.0
 */
export type Opcode = typeof Opcode.Type

/**
 * Continues the fragmented message before it (RFC 6455 §5.4).
 *
 * @category constants
 * @since 0.1.0
 */
export const Continuation = 0x0

/**
 * Starts a text message, UTF-8 (RFC 6455 §5.6).
 *
 * @category constants
 * @since 0.1.0
 */
export const Text = 0x1

/**
 * Starts a binary message (RFC 6455 §5.6).
 *
 * @category constants
 * @since 0.1.0
 */
export const Binary = 0x2

/**
 * Starts or answers the closing handshake (RFC 6455 §5.5.1).
 *
 * @category constants
 * @since 0.1.0
 */
export const Close = 0x8

/**
 * Asks for a Pong with the same payload (RFC 6455 §5.5.2).
 *
 * @category constants
 * @since 0.1.0
 */
export const Ping = 0x9

/**
 * Answers a Ping, or is sent unsolicited (RFC 6455 §5.5.3).
 *
 * @category constants
 * @since 0.1.0
 */
export const Pong = 0xa

/**
 * Whether an opcode names a control frame: its highest bit is set (RFC 6455 §5.5).
 *
 * @category guards
 * @since 0.1.0
 */
export const isControl = (opcode: number): boolean => (opcode & 0x8) !== 0

/**
 * Whether a 4-bit value is one of the six opcodes that RFC 6455 §5.2 defines.
 *
 * @category guards
 * @since 0.1.0
 */
export const isOpcode = (opcode: number): opcode is Opcode => opcode <= 0x2 || (opcode >= 0x8 && opcode <= 0xa)
