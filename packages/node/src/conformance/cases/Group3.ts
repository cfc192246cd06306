/**
 * Group 3, reserved bits without an extension (RFC 6455 §5.2). A message that was
 * whole before the violation is echoed; the published suite also accepts none.
 * 3.6 sends a Ping, as its description says.
 */
import { binary, bytes, type Case, type Chop, close, echoText, fails, makeCase, ping, send, text } from "./Case.ts"

const hello = "Hello, world!"

const afterMessage = (rsv: number, chop: Chop) => () =>
  fails(1002, [send([text(hello), text(hello, { rsv }), ping()], chop)], [echoText(hello)], [])

export const group3: ReadonlyArray<Case> = [
  makeCase("3.1", "Text with RSV 1", () => fails(1002, [send([text(hello, { rsv: 1 })])])),
  makeCase("3.2", "Text, then text with RSV 2, then a ping", afterMessage(2, "together")),
  makeCase("3.3", "Text, then text with RSV 3, then a ping, frame by frame", afterMessage(3, "frames")),
  makeCase("3.4", "Text, then text with RSV 4, then a ping, octet by octet", afterMessage(4, 1)),
  makeCase(
    "3.5",
    "Binary with RSV 5",
    () => fails(1002, [send([binary(bytes(0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff), { rsv: 5 })])])
  ),
  makeCase("3.6", "Ping with RSV 6", () => fails(1002, [send([ping(hello, { rsv: 6 })])])),
  makeCase("3.7", "Close with RSV 7", () => fails(1002, [send([{ ...close(), rsv: 7 }])]))
]
