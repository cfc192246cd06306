/** The boards of a server: the notes that the changes of each board come to, and where they are kept. */
import { type Broker, Topics } from "@effect-ws/core/realtime"
import { Context, Duration, Effect, Layer, Option, RcMap, Ref, Schedule, Schema, Stream, SubscriptionRef } from "effect"
import { Redis } from "effect/persistence"
import { apply, Board, Notes } from "./Board.ts"

const Position = Schema.Struct({ epoch: Schema.String, offset: Schema.Int })

/** The notes of a board, and the last change that is contained in them. */
const Saved = Schema.Struct({ position: Position, notes: Notes })
type Saved = typeof Saved.Type

/**
 * Where boards are kept while nobody looks at them. What is kept may be old: the changes since are in the history of the
 * topic, which reaches back 1,000 of them.
 */
export class BoardStore extends Context.Service<BoardStore, {
  readonly load: (id: string) => Effect.Effect<Option.Option<Saved>>
  readonly save: (id: string, saved: Saved) => Effect.Effect<void>
}>()("effect-ws/examples/board/BoardStore") {
  /** In the memory of this process: the boards that were used last, so many of them. */
  static readonly layerMemory = (most = 1000): Layer.Layer<BoardStore> =>
    Layer.sync(BoardStore, () => {
      const boards = new Map<string, Saved>()
      return BoardStore.of({
        load: (id) => Effect.sync(() => Option.fromNullishOr(boards.get(id))),
        save: (id, saved) =>
          Effect.sync(() => {
            boards.delete(id)
            boards.set(id, saved)
            for (const oldest of boards.keys()) {
              if (boards.size <= most) break
              boards.delete(oldest)
            }
          })
      })
    })

  /** In Redis, where several servers find it. */
  static readonly layerRedis: Layer.Layer<BoardStore, never, Redis.Redis> = Layer.effect(
    BoardStore,
    Effect.gen(function*() {
      const redis = yield* Redis.Redis
      const key = (id: string) => `effect-ws:example-board:${id}`
      const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Saved))
      const encode = Schema.encodeEffect(Schema.fromJsonString(Saved))
      return BoardStore.of({
        load: (id) =>
          redis.send("GET", key(id)).pipe(
            Effect.flatMap((text) => text === null ? Effect.succeedNone : Effect.asSome(decode(text))),
            // Without it the board begins with what is left of its history.
            Effect.catch((error) => Effect.as(Effect.logWarning("A board could not be loaded", error), Option.none()))
          ),
        save: (id, saved) =>
          Effect.flatMap(encode(saved), (text) => redis.send("SET", key(id), text)).pipe(
            Effect.catch((error) => Effect.logWarning("A board could not be saved", error))
          )
      })
    })
  )
}

/** The board does not come: the broker is away, or slow. */
export class BoardUnavailable extends Schema.TaggedError<BoardUnavailable>()("BoardUnavailable", {}) {
  override get message() {
    return "The board cannot be had at the moment"
  }
}

export class Boards extends Context.Service<Boards, {
  /** The notes of a board, with all changes up to a position at least. */
  readonly notes: (id: string, position: Broker.Position) => Effect.Effect<Notes, BoardUnavailable>
  /** Somebody works on a board: it is followed for some time, so that nothing drops out of its history unseen. */
  readonly touch: (id: string) => Effect.Effect<void>
}>()("effect-ws/examples/board/Boards") {
  static readonly layer = Layer.effect(
    Boards,
    Effect.gen(function*() {
      const store = yield* BoardStore

      /** Follows one board until it was not used for some time. */
      const follow = Effect.fnUntraced(function*(id: string) {
        const kept = yield* store.load(id)
        const state = yield* SubscriptionRef.make<Saved>(
          Option.getOrElse(kept, () => ({ position: { epoch: "", offset: 0 }, notes: [] }))
        )
        const isSaved = yield* Ref.make(true)
        const save = Effect.gen(function*() {
          if (yield* Ref.getAndSet(isSaved, true)) return
          yield* store.save(id, yield* SubscriptionRef.get(state))
        })
        yield* Effect.addFinalizer(() => save)
        yield* Effect.forkScoped(Effect.repeat(save, Schedule.spaced("2 seconds")))

        // From where the board is: after a failure no change is applied once more.
        const since = Effect.map(SubscriptionRef.get(state), ({ position }) => position.epoch === "" ? "start" as const : position)
        const changes = Stream.unwrap(Effect.map(since, (since) => Topics.subscribe(Board, { id }, { since })))
        yield* Stream.runForEach(changes, (event) =>
          SubscriptionRef.update(state, ({ notes }) => {
            switch (event._tag) {
              case "Publication":
                return { position: event.position, notes: apply(notes, event.value) }
              // What is missing is missing: the notes stay what they are.
              case "Gap":
                return { position: event.to, notes }
              default:
                return { position: event.position, notes }
            }
          }).pipe(Effect.andThen(Ref.set(isSaved, false)))
        ).pipe(
          Effect.tapError((error) => Effect.logWarning("A board could not be followed", error)),
          Effect.retry(Schedule.spaced("1 second")),
          Effect.forkScoped
        )
        return state
      })
      const boards = yield* RcMap.make({ lookup: follow, idleTimeToLive: "10 minutes" })

      return Boards.of({
        notes: (id, position) =>
          RcMap.get(boards, id).pipe(
            Effect.flatMap((state) =>
              SubscriptionRef.changes(state).pipe(
                Stream.filter((now) => now.position.epoch === position.epoch && now.position.offset >= position.offset),
                Stream.runHead
              )
            ),
            Effect.timeout(Duration.seconds(5)),
            Effect.flatMap(Option.match({
              onNone: () => Effect.fail(new BoardUnavailable()),
              onSome: ({ notes }) => Effect.succeed(notes)
            })),
            Effect.catchTag("TimeoutError", () => Effect.fail(new BoardUnavailable())),
            Effect.scoped
          ),
        touch: (id) => Effect.asVoid(Effect.scoped(RcMap.get(boards, id)))
      })
    })
  )
}
