/**
 * Node's own primitives: the UTF-8 of Buffer, which is faster than `TextDecoder` and `TextEncoder` on short
 * texts, and memory that is not zeroed before it is overwritten.
 *
 * @since 0.1.0
 */
import type { Primitives } from "@effect-ws/core"
import * as SystemPrimitives from "./transport/SystemPrimitives.ts"

/**
 * The primitives of connections on Node.
 *
 * @category constants
 * @since 0.1.0
 */
export const primitives: Primitives.Primitives = SystemPrimitives.primitives
