/** A family of topics as a server serves it: who may do what, and values as JSON text and back. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import { pathOf } from "../../contract/InvalidMessage.ts"
import type { Position } from "../Broker.ts"
import * as Topic from "../Topic.ts"
import { deepestValue } from "../wire/Messages.ts"
import { isDeeper } from "../wire/Nesting.ts"

/** The values of one Schema. Its parts are compiled once. */
export interface Values {
  /** A value from the JSON of a message. */
  readonly decode: (json: unknown) => Effect.Effect<unknown, Invalid>
  /** A value as JSON text. */
  readonly encode: (value: unknown) => Effect.Effect<string, Invalid>
}

/** A value does not match its Schema, or is nested too deeply. */
export class Invalid {
  readonly issue: SchemaIssue.Issue | undefined

  constructor(issue: SchemaIssue.Issue | undefined) {
    this.issue = issue
  }

  /** The place in the value; nothing of its content. */
  get message(): string {
    if (this.issue === undefined) return "the value is nested too deeply"
    const path = pathOf(this.issue)
    return path === "" ? "the value does not match its Schema" : `the value does not match its Schema at ${path}`
  }

  get error(): Schema.SchemaError | undefined {
    return this.issue && new Schema.SchemaError(this.issue)
  }
}

const tooDeep = Effect.fail(new Invalid(undefined))

/** A value that is nested too deeply overflows the stack of a recursive Schema, or of JSON. */
const guarded = <A>(run: () => Effect.Effect<A, SchemaIssue.Issue>): Effect.Effect<A, Invalid> => {
  let effect: Effect.Effect<A, SchemaIssue.Issue>
  try {
    effect = run()
  } catch (defect) {
    if (defect instanceof RangeError) return tooDeep
    throw defect
  }
  if (Exit.isExit(effect) && Exit.isSuccess(effect)) return effect as Exit.Exit<A>
  return Effect.mapError(effect, (issue) => new Invalid(issue)).pipe(
    Effect.catchDefect((defect) => defect instanceof RangeError ? tooDeep : Effect.die(defect))
  )
}

// What receives it would refuse it.
const notTooDeep = (text: string): Effect.Effect<string, Invalid> =>
  isDeeper(text, deepestValue) ? tooDeep : Effect.succeed(text)

const compile = (schema: Schema.Constraint): Values => {
  const codec = Schema.toCodecJson(schema)
  // The services of a family's Schemas are those of the fiber that runs them: `Topic.Services` asks for them.
  const decode = SchemaParser.decodeUnknownEffect(codec) as (json: unknown) => Effect.Effect<unknown, SchemaIssue.Issue>
  const encode = SchemaParser.encodeUnknownEffect(codec) as (value: unknown) => Effect.Effect<unknown, SchemaIssue.Issue>
  return {
    decode: (json) => guarded(() => decode(json)),
    encode: (value) => Effect.flatMapEager(guarded(() => Effect.mapEager(encode(value), (json) => JSON.stringify(json))), notTooDeep)
  }
}

/** The Schemas of a family, compiled when they are used first. */
export class Schemas {
  private readonly topic: Topic.Any
  private readonly compiled = new Map<string, Values>()

  constructor(topic: Topic.Any) {
    this.topic = topic
  }

  of(what: "publication" | "signal" | "member" | "snapshot" | "refusal"): Values {
    let values = this.compiled.get(what)
    if (values === undefined) this.compiled.set(what, values = compile(this.topic[what]))
    return values
  }
}

const schemas = new WeakMap<Topic.Any, Schemas>()

/** The Schemas of a family: compiled once for all servers and callers. */
export const schemasOf = (topic: Topic.Any): Schemas => {
  let known = schemas.get(topic)
  if (known === undefined) schemas.set(topic, known = new Schemas(topic))
  return known
}

/** A value of the program as JSON text. */
export const encoded = (
  schemas: Schemas,
  what: "publication" | "signal" | "member" | "refusal",
  value: unknown
): Effect.Effect<string, Schema.SchemaError> =>
  Effect.catch(schemas.of(what).encode(value), ({ error, message }) =>
    error === undefined ? Effect.die(new RangeError(message)) : Effect.fail(error))

/** What an authorizer is asked about, besides the operation. */
export interface Asked {
  readonly params: unknown
  readonly claims: unknown
  readonly value?: unknown
  readonly key?: string
  readonly member?: string
  readonly position?: Position
}

/** What is asked for. */
export type Operation = "subscribe" | "publish" | "signal" | "join" | "watch"

/** Succeeds if it is allowed; fails with the program's refusal. */
export type Authorize = (asked: Asked) => Effect.Effect<unknown, unknown>

/** A family with who may do what, as a server serves it. */
export interface Family {
  readonly topic: Topic.Any
  readonly authorize: { readonly [operation in Operation]?: Authorize | undefined }
  readonly snapshot: Authorize | undefined
}

/** A topic that a name means, and its family. */
export interface Named {
  readonly family: Family
  readonly schemas: Schemas
  readonly params: unknown
}

/** The families of a route. */
export class Families {
  private readonly families: ReadonlyArray<Family>

  constructor(families: ReadonlyArray<Family>) {
    this.families = families
  }

  has(family: object): boolean {
    return this.families.some((one) => one === family)
  }

  find(name: string): Named | undefined {
    for (const family of this.families) {
      const params = Topic.paramsOf(family.topic, name)
      if (Option.isSome(params)) return { family, schemas: schemasOf(family.topic), params: params.value }
    }
    return undefined
  }
}

/** Who decides about an operation: an operation without an authorizer of its own is decided by that of `subscribe`. */
export const authorizerOf = ({ authorize }: Family, operation: Operation): Authorize | undefined =>
  authorize[operation] ?? authorize.subscribe
