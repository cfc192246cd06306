/** The rooms of the scripts beside it: any JSON value may be published in `room/:id`. */
import { Topic } from "@effect-ws/core/realtime"
import { Schema } from "effect"

export const Room = Topic.make("room/:id", {
  publication: Schema.Json,
  signal: Schema.Json,
  member: Schema.Json
})

/** The same rooms with so many publications kept. Only a server has to know. */
export const roomsThatKeep = (size: number): typeof Room => ({ ...Room, history: { ...Room.history, size } })
