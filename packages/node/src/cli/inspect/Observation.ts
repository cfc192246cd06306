/**
 * What is observed on a connection, and which rules it breaks.
 */
import type { Frame, Message } from "@effect-ws/core"
import type { Head } from "./Head.ts"

export type Side = "client" | "server"

/** A rule that the peer broke, and the section that states it. */
export interface Broken {
  readonly rule: string
  readonly detail: string
  readonly section: string
}

/** The message that a frame completed, as a reader gets it: whole and decompressed. */
export interface Completed {
  readonly message: Message.Message
  /** The size on the wire, of all its frames. */
  readonly wireBytes: number
  /** The size after decompression. */
  readonly bytes: number
  readonly isCompressed: boolean
}

export type What =
  | { readonly _tag: "Head"; readonly head: Head }
  | { readonly _tag: "Frame"; readonly frame: Frame.Frame; readonly completed: Completed | undefined }
  /** Bytes that are not frames: the body of a refusal, or everything after a frame that cannot be decoded. */
  | { readonly _tag: "Bytes"; readonly bytes: Uint8Array }
  | { readonly _tag: "End"; readonly how: string }

export interface Observation {
  readonly connection: number
  /** Milliseconds since the inspection began. */
  readonly at: number
  readonly from: Side
  readonly what: What
  readonly broken: ReadonlyArray<Broken>
}
