/** Group 7, the closing handshake (RFC 6455 §5.5.1, §7). */
import {
  type Case,
  clean,
  close,
  concat,
  continuation,
  echoText,
  fill,
  frame,
  hex,
  makeCase,
  ping,
  type Script,
  send,
  text,
  utf8
} from "./Case.ts"
import { Close, type FrameSpec } from "../wire/Frames.ts"

const hello = "Hello World!"

/** The suite's Close is itself the matter: which codes may answer it. */
const answered = (first: FrameSpec, codes: ReadonlyArray<number | undefined>) => (): Script => ({
  steps: [send([first])],
  ok: [],
  close: { by: "suite", codes }
})

const validCodes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]
const invalidCodes = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999]
/** Outside of what the RFC gives a meaning to at all: answered as an invalid code. */
const undefinedCodes = [5000, 65535]

export const group7: ReadonlyArray<Case> = [
  makeCase("7.1.1", "Text, then Close", () => clean([send([text(hello)])], [echoText(hello)])),
  makeCase("7.1.2", "Two Close frames", () => clean([send([close(1000), close()])], [])),
  makeCase("7.1.3", "Close, then a ping, which is not answered", () => clean([send([close(1000), ping()])], [])),
  makeCase("7.1.4", "Close, then text, which is ignored", () => clean([send([close(1000), text(hello)])], [])),
  makeCase(
    "7.1.5",
    "Fragment, Close, last fragment, which is ignored",
    () => clean([send([text("fragment1", { fin: false }), close(1000), continuation("fragment2")])], [])
  ),
  // The published suite judges nothing here; what came before the Close is echoed before it is answered.
  makeCase("7.1.6", "Text of 256 KiB, text, Close, ping, back to back", () => {
    const large = fill("BAsd7&jh23", 256 * 1024)
    return clean(
      [send([text(large), text(hello), close(1000), ping()])],
      [echoText(large), echoText(hello)]
    )
  }, { informational: true }),
  makeCase("7.3.1", "Close without a body", answered(close(), [undefined, 1000])),
  makeCase("7.3.2", "Close with a body of one octet", answered(frame(Close, "a"), [1002])),
  makeCase("7.3.3", "Close with a code", answered(close(1000), [1000])),
  makeCase("7.3.4", "Close with a code and a reason", answered(close(1000, hello), [1000])),
  makeCase("7.3.5", "Close with the longest reason, 123 octets", answered(close(1000, fill("*", 123)), [1000])),
  makeCase("7.3.6", "Close with a reason of 124 octets, one too many", answered(close(1000, fill("*", 124)), [1002])),
  makeCase("7.5.1", "Close with a reason that is not UTF-8", () => ({
    steps: [send([close(1000, concat(hex("cebae1bdb9cf83cebcceb5eda080"), utf8("edited")))])],
    ok: [],
    close: { by: "suite", codes: [1007], nonStrictCodes: [1002] }
  })),
  ...validCodes.map((code, index) =>
    makeCase(`7.7.${index + 1}`, `Close with the valid code ${code}`, answered(close(code), [code, 1000]))
  ),
  ...invalidCodes.map((code, index) =>
    makeCase(`7.9.${index + 1}`, `Close with the invalid code ${code}`, answered(close(code), [1002]))
  ),
  ...undefinedCodes.map((code, index) =>
    makeCase(`7.13.${index + 1}`, `Close with the undefined code ${code}`, answered(close(code), [1002]), {
      informational: true
    })
  )
]
