/**
 * The two ends of a pipeline at a connection: its messages as a stream, and itself as a sink.
 * `Stream.run` keeps both for as long as it runs, and so does each idle connection: one
 * object each, not the four that Effect's constructors make (measured: 200 bytes together).
 */
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type { Message, Sendable } from "../Message.ts"
import type { IOError, ProtocolError } from "../WebSocketError.ts"
import { drain, type Drained, type Upstream } from "./Pump.ts"
import type { Batch, Reader } from "./Reader.ts"
import type { SendError, Writer } from "./Writer.ts"

type Messages = Stream.Stream<Message, ProtocolError | IOError>
type Outlet = Sink.Sink<void, Sendable, never, SendError>

// Private by name, so that a log line that shows one does not show the connection's inside. By
// the number of its connection one is told from another's, which `Equal` would call equal.
class ReaderStream {
  readonly #reader: Reader
  readonly connection: number

  constructor(reader: Reader, connection: number) {
    this.#reader = reader
    this.connection = connection
  }

  get channel(): Channel.Channel<Batch, ProtocolError | IOError> {
    const reader = this.#reader
    return fromInfallible(reader.reading.bind(reader))
  }
}

type Transform = (upstream: unknown, scope: Scope.Scope) => Effect.Effect<Pull.Pull<Batch, ProtocolError | IOError>>

// `Channel.fromTransform` is for effects that may fail, and a channel keeps how it makes ours
// one that cannot, which it is (measured: 180 bytes). How a channel keeps it is Effect's own
// business, so that is tried; where it is not so, it is made as all others are.
class PlainChannel {
  readonly transform: Transform

  constructor(transform: Transform) {
    this.transform = transform
  }
}
Object.setPrototypeOf(PlainChannel.prototype, Object.getPrototypeOf(Channel.empty))

const plain = (transform: Transform) => new PlainChannel(transform) as object as Channel.Channel<Batch, ProtocolError | IOError>
const isPlain = (() => {
  const transform: Transform = () => Effect.never
  return Channel.toTransform(plain(transform)) === transform
})()

const fromInfallible = (transform: Transform) => isPlain ? plain(transform) : Channel.fromTransform(transform)

class WriterSink {
  readonly #writer: Writer
  readonly connection: number

  constructor(writer: Writer, connection: number) {
    this.#writer = writer
    this.connection = connection
  }

  // Bound, since who takes a sink apart calls it alone.
  get transform(): (upstream: Upstream) => Drained {
    return drain.bind(undefined, this.#writer)
  }
}

// All that makes them a stream and a sink besides: their type, and `pipe`.
Object.setPrototypeOf(ReaderStream.prototype, Object.getPrototypeOf(Stream.empty))
Object.setPrototypeOf(WriterSink.prototype, Object.getPrototypeOf(Sink.drain))

/** All messages from now on. The scope of the stream holds the reader. */
export const messagesOf = (reader: Reader, connection: number): Messages =>
  new ReaderStream(reader, connection) as Pick<Messages, "channel"> as Messages

/** Sends all that it is given. */
export const sinkOf = (writer: Writer, connection: number): Outlet =>
  new WriterSink(writer, connection) as Pick<Outlet, "transform"> as Outlet
