/**
 * A Node stream as the transport of a connection.
 *
 * @since 0.1.0
 */
import type { Transport } from "@effect-ws/core"
import type { Duplex } from "node:stream"
import * as DuplexTransport from "./transport/DuplexTransport.ts"
import { primitives } from "./transport/SystemPrimitives.ts"

/**
 * Makes a transport from a duplex stream that nothing else reads.
 *
 * **Details**
 *
 * `early` are bytes that were read before, such as those after the head of a request. An error listener is
 * added at once and stays, so that a reset never crashes the process. The stream's `allowHalfOpen` is set,
 * because a connection answers after its peer's end.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromDuplex = (duplex: Duplex, early?: Uint8Array): Transport.Transport =>
  DuplexTransport.make(duplex, early, { primitives, isShared: true })
