/**
 * Every rule of RFC 6455 that a peer's bytes can break, with the close code that answers it and
 * the section that states it. The protocol and the codec name a rule; the error is made from
 * this table.
 */
import { ProtocolError, type ProtocolRule } from "../WebSocketError.ts"

export interface RuleInfo {
  readonly code: number
  readonly section: string
  readonly text: string
}

// The rules that a message can break where a platform frames it: a page holds these and no others.
export const messageTooBig: RuleInfo = {
  code: 1009,
  section: "RFC 6455 §7.4.1",
  text: "a message exceeds maxMessageSize (a larger one can be read with receiveStream)"
}

export const tooMuchUnread: RuleInfo = {
  code: 1008,
  section: "RFC 6455 §10.4",
  text: "more messages than maxUnread allows wait to be read, and this platform cannot hold back its peer"
}

export const rules = {
  ReservedBit: { code: 1002, section: "RFC 6455 §5.2", text: "a reserved bit is set that no extension claimed" },
  ReservedOpcode: { code: 1002, section: "RFC 6455 §5.2", text: "the opcode is reserved" },
  LengthNotMinimal: { code: 1002, section: "RFC 6455 §5.2", text: "the length is not in its shortest form" },
  LengthHighBit: { code: 1002, section: "RFC 6455 §5.2", text: "the highest bit of a 64-bit length is set" },
  MaskMissing: { code: 1002, section: "RFC 6455 §5.1", text: "a client's frame is not masked" },
  MaskUnexpected: { code: 1002, section: "RFC 6455 §5.1", text: "a server's frame is masked" },
  ControlFragmented: { code: 1002, section: "RFC 6455 §5.5", text: "a control frame is fragmented" },
  ControlTooLong: { code: 1002, section: "RFC 6455 §5.5", text: "a control frame has more than 125 bytes" },
  ContinuationUnexpected: {
    code: 1002,
    section: "RFC 6455 §5.4",
    text: "a continuation frame arrived outside a fragmented message"
  },
  ContinuationExpected: {
    code: 1002,
    section: "RFC 6455 §5.4",
    text: "a new message began inside a fragmented one"
  },
  InvalidUtf8: { code: 1007, section: "RFC 6455 §8.1", text: "a text message is not UTF-8" },
  CloseTooShort: { code: 1002, section: "RFC 6455 §5.5.1", text: "a Close frame has a payload of one byte" },
  CloseCodeInvalid: { code: 1002, section: "RFC 6455 §7.4", text: "a Close frame carries a code that may not be sent" },
  CloseReasonInvalid: { code: 1007, section: "RFC 6455 §5.5.1", text: "the reason in a Close frame is not UTF-8" },
  ExtensionData: { code: 1007, section: "RFC 6455 §7.4.1", text: "an extension could not decode a message" },
  MessageTooBig: messageTooBig,
  TooManyControlFrames: {
    code: 1008,
    section: "RFC 6455 §10.4",
    text: "more Pings and Pongs arrived than the limit controlFrames allows"
  },
  MessageTooSlow: {
    code: 1008,
    section: "RFC 6455 §10.4",
    text: "a message was begun and made less progress than messageProgress demands"
  },
  TooManyFragments: { code: 1009, section: "RFC 6455 §10.4", text: "a message has more fragments than fragments.max allows" },
  TooMuchUnread: tooMuchUnread,
  // Rules of single frames, see `Frame.decode` and `Frame.encode`. No connection is closed by them.
  FrameIncomplete: { code: 1002, section: "RFC 6455 §5.2", text: "the bytes end inside the frame" },
  FrameTrailing: { code: 1002, section: "RFC 6455 §5.2", text: "bytes follow the frame" },
  PayloadType: { code: 1002, section: "RFC 6455 §5.2", text: "the payload is not a Uint8Array" },
  MaskKeySize: { code: 1002, section: "RFC 6455 §5.3", text: "a mask key has four bytes" }
} as const satisfies Record<ProtocolRule, RuleInfo>

/** The error of a broken rule, with the code and section of the table. */
export const protocolError = (rule: ProtocolRule, detail?: string): ProtocolError =>
  errorOf(rule, rules[rule], detail)

/** The same where the rule's row is at hand. */
export const errorOf = (rule: ProtocolRule, { code, section, text }: RuleInfo, detail = text): ProtocolError =>
  new ProtocolError({ code, rule, section, detail })
