/**
 * What the chat says over its WebSocket, described once: server, command-line client and page import
 * this contract. JSON goes over the wire.
 */
import { Contract } from "@effect-ws/core"
import { Schema } from "effect"

// What arrives here may be printed in somebody's terminal, where control characters
// (an escape sequence, say) do things. A newline and a tab are all right in a text.
const printable = Schema.isPattern(/^[^\p{Cc}\u2028-\u202e\u2066-\u2069]*$/u, {
  message: "a name has no control characters"
})
const printableText = Schema.isPattern(/^(?:[^\p{Cc}]|[\n\t])*$/u, {
  message: "a message has no control characters"
})

/** The name that somebody asks for. */
export const Name = Schema.String.check(
  Schema.isTrimmed({ message: "a name has no spaces around it" }),
  Schema.isNonEmpty({ message: "a name is not empty" }),
  Schema.isMaxLength(24, { message: "a name has at most 24 characters" }),
  printable
)

/** What somebody says. */
const Text = Schema.String.check(
  Schema.isNonEmpty({ message: "a message is not empty" }),
  Schema.isMaxLength(2000, { message: "a message has at most 2000 characters" }),
  printableText
)

// The name that somebody got: the room adds a number to one that is taken.
const GivenName = Schema.String.check(Schema.isMaxLength(32), printable)

/** Somebody in the room, with the round trip of the server's last ping. */
export const Person = Schema.Struct({
  name: GivenName,
  latencyMillis: Schema.NullOr(Schema.Finite)
})
export type Person = typeof Person.Type

/** A message that was said. Its id lets a client that comes back skip what it has already shown. */
export const Said = Schema.TaggedStruct("Said", {
  id: Schema.String,
  name: GivenName,
  text: Text,
  at: Schema.DateTimeUtcFromMillis
})
export type Said = typeof Said.Type

/** What a client sends: first a `Join`, then what it has to say. */
const FromClient = Schema.Union([
  Schema.TaggedStruct("Join", { name: Name }),
  Schema.TaggedStruct("Say", { text: Text })
])

/** What the server sends. */
const FromServer = Schema.Union([
  // The answer to `Join`, with the last things that were said.
  Schema.TaggedStruct("Welcome", { name: GivenName, people: Schema.Array(Person), history: Schema.Array(Said) }),
  Schema.TaggedStruct("Joined", { name: GivenName, at: Schema.DateTimeUtcFromMillis }),
  Schema.TaggedStruct("Left", { name: GivenName, at: Schema.DateTimeUtcFromMillis }),
  // Who is there, sent whenever that changes and every two seconds.
  Schema.TaggedStruct("People", { people: Schema.Array(Person) }),
  Said,
  // To one client: what it sent was not accepted.
  Schema.TaggedStruct("Problem", { text: Schema.String })
])
export type FromServer = typeof FromServer.Type

export const Chat = Contract.make("chat.v1", { toServer: FromClient, toClient: FromServer })
