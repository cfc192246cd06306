/** Values of a family as JSON, and back; compiled once for each Schema. */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

type Decode<S extends Schema.Constraint> = (json: Schema.Json) => Effect.Effect<S["Type"], Schema.SchemaError, S["DecodingServices"]>
type Encode<S extends Schema.Constraint> = (value: S["Type"]) => Effect.Effect<Schema.Json, Schema.SchemaError, S["EncodingServices"]>

const decoders = new WeakMap<Schema.Constraint, Decode<Schema.Constraint>>()
const encoders = new WeakMap<Schema.Constraint, Encode<Schema.Constraint>>()

export const decoderOf = <S extends Schema.Constraint>(schema: S): Decode<S> => {
  let decode = decoders.get(schema) as Decode<S> | undefined
  if (decode === undefined) {
    decode = Schema.decodeUnknownEffect(Schema.toCodecJson(schema)) as Decode<S>
    decoders.set(schema, decode)
  }
  return decode
}

export const encoderOf = <S extends Schema.Constraint>(schema: S): Encode<S> => {
  let encode = encoders.get(schema) as Encode<S> | undefined
  if (encode === undefined) {
    encode = Schema.encodeUnknownEffect(Schema.toCodecJson(schema)) as Encode<S>
    // The Schema is the key.
    encoders.set(schema, encode as unknown as Encode<Schema.Constraint>)
  }
  return encode
}
