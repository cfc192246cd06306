/** How the values of a Schema become messages and back. */
import * as Effect from "effect/Effect"
import * as SchemaBinary from "effect/encoding/SchemaBinary"
import * as Schema from "effect/Schema"
import type * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import type { Message } from "../Message.ts"
import { checkName } from "./Name.ts"

/** The codec of one Schema. Its parts are compiled once. */
export interface Compiled<S extends Schema.Constraint> {
  readonly decode: (message: Message) => Effect.Effect<S["Type"], Refused, S["DecodingServices"]>
  readonly encode: (value: S["Type"]) => Effect.Effect<Message, SchemaIssue.Issue, S["EncodingServices"]>
}

/** Why a message is not what the codec writes (`"syntax"`), or where its value breaks the Schema. */
export type Refused = "syntax" | SchemaIssue.Issue

export interface Codec {
  /** The part of the subprotocol that names it: a token. */
  readonly name: string
  readonly compile: <S extends Schema.Constraint>(schema: S) => Compiled<S>
}

const syntax: Effect.Effect<never, Refused> = Effect.fail("syntax")

/** JSON in text messages, by the canonical JSON codec of the Schema. */
export const json: Codec = {
  name: "json",
  compile: (schema) => {
    const codec = Schema.toCodecJson(schema)
    const decode = SchemaParser.decodeUnknownEffect(codec)
    const encode = SchemaParser.encodeUnknownEffect(codec)
    const stringify = (value: unknown) => JSON.stringify(value)
    return {
      decode: (message) => {
        if (typeof message !== "string") return syntax
        let value: unknown
        try {
          value = JSON.parse(message)
        } catch {
          return syntax
        }
        return decode(value)
      },
      encode: (value) => Effect.mapEager(encode(value), stringify)
    }
  }
}

type ToMessage = <S extends Schema.Constraint>(
  schema: S
) => Schema.ConstraintCodec<S["Type"], Message, S["DecodingServices"], S["EncodingServices"]>

/** A codec whose messages are the encoded side of a Schema. */
export const make = (name: string, toMessage: ToMessage): Codec => {
  checkName("codec", name)
  return { name, compile: (schema) => compile(schema, toMessage) }
}

const compile = <S extends Schema.Constraint>(schema: S, toMessage: ToMessage): Compiled<S> => {
  const codec = toMessage(schema)
  const decode = SchemaParser.decodeUnknownEffect(codec)
  const encode = SchemaParser.encodeUnknownEffect(codec)
  return {
    decode: (message) => decode(message),
    encode: (value) => encode(value) as Effect.Effect<Message, SchemaIssue.Issue, S["EncodingServices"]>
  }
}

/** Effect's compact binary codec, in binary messages. A literal, so that bundlers leave it out of pages that do not use it. */
export const binary: Codec = {
  name: "binary",
  compile: (schema) => compile(schema, (schema) => SchemaBinary.toCodec(schema))
}
