/**
 * Group 6, UTF-8 (RFC 6455 §5.6, §8.1; RFC 3629). 6.5-6.23 follow Markus Kuhn's
 * decoder test. 6.4 is where a strict reading asks more than the RFC: an invalid
 * prefix fails before the frame or the message is complete.
 */
import {
  type Case,
  clean,
  concat,
  continuation,
  echoText,
  fails,
  fragments,
  hex,
  makeCase,
  type Script,
  send,
  type Step,
  text,
  timeout,
  utf8,
  wait
} from "./Case.ts"
import { Text } from "../wire/Frames.ts"
import { sequences } from "./Utf8.ts"

const hello = "Hello-µ@ßöäüàá-UTF-8!!"
const kosme = hex("cebae1bdb9cf83cebcceb5")
const edited = utf8("edited")
/** A surrogate in the middle: invalid from its second octet on. */
const surrogate = concat(kosme, hex("eda080"), edited)
/** U+110000 in the middle: invalid from its second octet on, which is octet 12. */
const outOfRange = concat(kosme, hex("f4908080"), edited)

const echoed = (payload: Uint8Array, size: number) => (): Script =>
  clean([send(fragments(Text, payload, size))], [echoText(payload)])

/** Long enough to see a valid prefix refused. */
const quiet = 100
/** Far longer than any subject needs to see that an octet is wrong; it costs nothing if it is seen. */
const patience = 2000

const validSoFar = "still open behind a valid prefix"
const invalidByNow = "still open behind an invalid octet"

const failFast = (first: Step, second: Step, third: Step): Script =>
  fails(
    1007,
    [first, wait(validSoFar, quiet), second, wait(invalidByNow, patience), third],
    [timeout(validSoFar)],
    [timeout(validSoFar), timeout(invalidByNow)]
  )

const inFrames = (one: number, two: number) => () =>
  failFast(
    send([text(outOfRange.subarray(0, one), { fin: false })]),
    send([continuation(outOfRange.subarray(one, two), { fin: false })]),
    send([continuation(outOfRange.subarray(two))])
  )

const inOneFrame = (one: number, two: number) => () => {
  const part = (from: number, to?: number): Step => ({
    _tag: "Part",
    opcode: Text,
    length: outOfRange.length,
    from,
    data: outOfRange.subarray(from, to)
  })
  return failFast(part(0, one), part(one, two), part(two))
}

export const group6: ReadonlyArray<Case> = [
  makeCase("6.1.1", "Text of length 0", () => clean([send([text("")])], [echoText("")])),
  makeCase(
    "6.1.2",
    "Text in three empty fragments",
    () =>
      clean(
        [send([text("", { fin: false }), continuation("", { fin: false }), continuation("")])],
        [echoText("")]
      )
  ),
  makeCase("6.1.3", "Text in three fragments, only the middle one not empty", () => {
    const middle = "middle frame payload"
    return clean(
      [send([text("", { fin: false }), continuation(middle, { fin: false }), continuation("")])],
      [echoText(middle)]
    )
  }),
  makeCase("6.2.1", "Valid UTF-8 in one frame", echoed(utf8(hello), 100)),
  makeCase(
    "6.2.2",
    "Valid UTF-8 in two fragments, cut between code points",
    () => clean([send([text("Hello-µ@ßöä", { fin: false }), continuation("üàá-UTF-8!!")])], [echoText(hello)])
  ),
  makeCase("6.2.3", "Valid UTF-8 in fragments of one octet", echoed(utf8(hello), 1)),
  makeCase("6.2.4", "Valid UTF-8 (Greek) in fragments of one octet", echoed(kosme, 1)),
  makeCase("6.3.1", "Invalid UTF-8 in one frame", () => fails(1007, [send([text(surrogate)])])),
  makeCase(
    "6.3.2",
    "Invalid UTF-8 in fragments of one octet",
    () => fails(1007, [send(fragments(Text, surrogate, 1))])
  ),
  makeCase("6.4.1", "Fail fast: three frames, the second invalid", inFrames(11, 15)),
  makeCase("6.4.2", "Fail fast: three frames, the second one octet that makes it invalid", inFrames(12, 13)),
  makeCase("6.4.3", "Fail fast: one frame in three chops, the second invalid", inOneFrame(11, 15)),
  makeCase(
    "6.4.4",
    "Fail fast: one frame in three chops, the second one octet that makes it invalid",
    inOneFrame(12, 13)
  ),
  ...sequences.flatMap(({ name, members }, group) =>
    members.map(({ digits, valid }, index) => {
      const shown = digits.length > 24 ? `${digits.slice(0, 24)}…` : digits
      return makeCase(
        `6.${5 + group}.${index + 1}`,
        `${name}: ${shown}, ${valid ? "valid" : "invalid"}`,
        () => {
          const payload = hex(digits)
          return valid
            ? clean([send([text(payload)])], [echoText(payload)])
            : fails(1007, [send([text(payload)])])
        }
      )
    })
  )
]
