/** What the effects of a connection are told. */
export interface LinkHooks {
  /** Something arrived for the reader, or its end was reached. */
  onReadable(): void
  /** The transport has taken the last write. */
  onWriteTaken(): void
  /** Senders may go on, or never will. */
  onWritable(): void
  /** Whether suspended senders wait for their turn. */
  hasWaitingSenders(): boolean
}

export const noHooks: LinkHooks = {
  onReadable: () => {},
  onWriteTaken: () => {},
  onWritable: () => {},
  hasWaitingSenders: () => false
}
