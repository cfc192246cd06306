/** Group 4, reserved opcodes: 3-7 for data, 11-15 for control (RFC 6455 §5.2). */
import { type Case, type Chop, echoText, fails, frame, makeCase, ping, send, text } from "./Case.ts"

const hello = "Hello, world!"

const alone = (opcode: number, payload: string) => () => fails(1002, [send([frame(opcode, payload)])])

const afterMessage = (opcode: number, payload: string, chop: Chop = "together") => () =>
  fails(1002, [send([text(hello), frame(opcode, payload), ping()], chop)], [echoText(hello)], [])

const subgroup = (id: string, first: number): ReadonlyArray<Case> => [
  makeCase(`${id}.1`, `Opcode ${first}`, alone(first, "")),
  makeCase(`${id}.2`, `Opcode ${first + 1} with payload`, alone(first + 1, "reserved opcode payload")),
  makeCase(`${id}.3`, `Text, then opcode ${first + 2}, then a ping`, afterMessage(first + 2, "")),
  makeCase(`${id}.4`, `Text, then opcode ${first + 3} with payload, then a ping`, afterMessage(first + 3, hello)),
  makeCase(
    `${id}.5`,
    `Text, then opcode ${first + 4} with payload, then a ping, octet by octet`,
    afterMessage(first + 4, hello, 1)
  )
]

export const group4: ReadonlyArray<Case> = [...subgroup("4.1", 3), ...subgroup("4.2", 11)]
