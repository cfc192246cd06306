/** Group 5, fragmentation (RFC 6455 §5.4). */
import {
  answer,
  awaitEvents,
  type Case,
  type Chop,
  clean,
  continuation,
  echoText,
  fails,
  makeCase,
  ping,
  pong,
  type Script,
  send,
  text
} from "./Case.ts"

const chops: ReadonlyArray<readonly [how: string, chop: Chop]> = [
  ["together", "together"],
  ["frame by frame", "frames"],
  ["octet by octet", 1]
]

const two = [text("fragment1", { fin: false }), continuation("fragment2")] as const
const twoWithPing = [two[0], ping("ping payload"), two[1]]
const joined = echoText("fragment1fragment2")

const nothingToContinue = (fin: boolean, chop: Chop) => () =>
  fails(1002, [send([continuation("non-continuation payload", { fin }), text("Hello, world!")], chop)])

const repeated = (fin: boolean) => () => {
  const once = [
    continuation("fragment1", { fin }),
    text("fragment2", { fin: false }),
    continuation("fragment3")
  ]
  return fails(1002, [send([...once, ...once])])
}

/** The first pong must come while the message is still open, so the rest is sent only after it. */
const pingsInside = (chop: Chop) => (): Script =>
  clean(
    [
      send(
        [text("fragment1", { fin: false }), continuation("fragment2", { fin: false }), ping("pongme 1!")],
        chop
      ),
      awaitEvents("first pong", 1),
      send(
        [
          continuation("fragment3", { fin: false }),
          continuation("fragment4", { fin: false }),
          ping("pongme 2!"),
          continuation("fragment5")
        ],
        chop
      )
    ],
    [answer("pongme 1!"), answer("pongme 2!"), echoText("fragment1fragment2fragment3fragment4fragment5")]
  )

export const group5: ReadonlyArray<Case> = [
  makeCase(
    "5.1",
    "Ping in two fragments",
    () => fails(1002, [send([ping("fragment1", { fin: false }), continuation("fragment2")])])
  ),
  makeCase(
    "5.2",
    "Pong in two fragments",
    () => fails(1002, [send([pong("fragment1", { fin: false }), continuation("fragment2")])])
  ),
  ...chops.map(([how, chop], index) =>
    makeCase(`5.${3 + index}`, `Text in two fragments, ${how}`, () => clean([send(two, chop)], [joined]))
  ),
  ...chops.map(([how, chop], index) =>
    makeCase(
      `5.${6 + index}`,
      `Text in two fragments, a ping between them, ${how}`,
      () => clean([send(twoWithPing, chop)], [answer("ping payload"), joined])
    )
  ),
  ...chops.map(([how, chop], index) =>
    makeCase(
      `5.${9 + index}`,
      `Final continuation of nothing, then text, ${how}`,
      nothingToContinue(true, chop)
    )
  ),
  ...chops.map(([how, chop], index) =>
    makeCase(
      `5.${12 + index}`,
      `Continuation of nothing without FIN, then text, ${how}`,
      nothingToContinue(false, chop)
    )
  ),
  makeCase("5.15", "Text in two fragments, then a continuation of nothing, then text", () =>
    fails(
      1002,
      [send([...two, continuation("fragment3", { fin: false }), text("fragment4")])],
      [joined],
      []
    )),
  makeCase("5.16", "Twice: continuation of nothing without FIN, then text in two fragments", repeated(false)),
  makeCase("5.17", "Twice: final continuation of nothing, then text in two fragments", repeated(true)),
  makeCase(
    "5.18",
    "Text in two fragments, both with opcode text",
    () => fails(1002, [send([text("fragment1", { fin: false }), text("fragment2")])])
  ),
  makeCase("5.19", "Text in five fragments, two pings among them, the first answered at once", pingsInside("together")),
  makeCase("5.20", "As 5.19, frame by frame", pingsInside("frames"))
]
