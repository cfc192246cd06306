/** What the effects of a connection are told. */
export interface LinkHooks {
  /** Something arrived for the reader, or its end was reached. */
  readonly onReadable: () => void
  /** The transport has taken the last write. */
  readonly onTaken: () => void
  /** Senders may go on, or never will. */
  readonly onWritable: () => void
  /** Whether suspended senders wait for their turn. */
  readonly hasWaitingSenders: () => boolean
}

export const noHooks: LinkHooks = {
  onReadable: () => {},
  onTaken: () => {},
  onWritable: () => {},
  hasWaitingSenders: () => false
}
