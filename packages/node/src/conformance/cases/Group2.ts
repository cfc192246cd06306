/** Group 2, pings and pongs (RFC 6455 §5.5.2, §5.5.3). */
import { answer, bytes, type Case, clean, close, fails, fill, makeCase, ping, pong, send } from "./Case.ts"

const notUtf8 = bytes(0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff)
const octets = (length: number) => fill(bytes(0xfe), length)
const ten = Array.from({ length: 10 }, (_, index) => `payload-${index}`)

export const group2: ReadonlyArray<Case> = [
  makeCase("2.1", "Ping without payload", () => clean([send([ping()])], [answer("")])),
  makeCase("2.2", "Ping with a text payload", () => clean([send([ping("Hello, world!")])], [answer("Hello, world!")])),
  makeCase("2.3", "Ping with a payload that is not UTF-8", () => clean([send([ping(notUtf8)])], [answer(notUtf8)])),
  makeCase("2.4", "Ping with 125 octets", () => clean([send([ping(octets(125))])], [answer(octets(125))])),
  makeCase("2.5", "Ping with 126 octets, one too many", () => fails(1002, [send([ping(octets(126))])])),
  makeCase(
    "2.6",
    "Ping with 125 octets, sent octet by octet",
    () => clean([send([ping(octets(125))], 1)], [answer(octets(125))])
  ),
  makeCase(
    "2.7",
    "Unsolicited pong without payload, then Close",
    () => clean([send([pong()]), send([close(1000)])], [])
  ),
  makeCase(
    "2.8",
    "Unsolicited pong with payload, then Close",
    () => clean([send([pong("unsolicited pong payload")]), send([close(1000)])], [])
  ),
  makeCase(
    "2.9",
    "Unsolicited pong, then a ping, which alone is answered",
    () => clean([send([pong("unsolicited pong payload")]), send([ping("ping payload")])], [answer("ping payload")])
  ),
  makeCase("2.10", "Ten pings", () => clean([send(ten.map((payload) => ping(payload)))], ten.map(answer))),
  makeCase(
    "2.11",
    "Ten pings, sent octet by octet",
    () => clean([send(ten.map((payload) => ping(payload)), 1)], ten.map(answer))
  )
]
