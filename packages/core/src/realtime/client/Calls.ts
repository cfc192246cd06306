/** What is asked on the connection that is there, and who waits for the answers. Plain synchronous state. */
import { count } from "../telemetry/Meter.ts"
import type { Done, Failed, PublishedAnswer, Subscribed, ToServer, Welcome } from "../wire/Messages.ts"
import { Counts } from "./Counts.ts"
import type { Link, Outgoing } from "./Link.ts"

/** The messages of a server that answer one of the client's. */
export type Answered = typeof Subscribed.Type | typeof PublishedAnswer.Type | typeof Done.Type | typeof Failed.Type

/** A message of a client without its id. */
export type Asked = ToServer extends infer Each ? Each extends { readonly id: number } ? Omit<Each, "id"> : never : never

/** A moment by two clocks, in milliseconds. The monotonic one may stand still while the machine sleeps; the calendar can be set. */
export interface Moment {
  readonly monotonic: number
  readonly calendar: number
}

/** How much time has passed at least by one of the clocks. */
export const elapsed = (from: Moment, to: Moment): number => Math.max(to.monotonic - from.monotonic, to.calendar - from.calendar)

/** What the platform gives. */
export interface Surroundings {
  /** Runs something after so many milliseconds, unless the client has ended by then. */
  readonly later: (millis: number, run: () => void) => void
  /** From 0 to 1. */
  readonly random: () => number
  readonly now: () => Moment
}

const lastOfIds = 0xffff_ffff

export class Calls {
  readonly around: Surroundings
  readonly counts = new Counts()
  /** The connection that is there. */
  link: Link | undefined
  welcome: typeof Welcome.Type | undefined
  private id = 0
  private readonly waiting = new Map<number, (answer: Answered) => void>()

  constructor(around: Surroundings) {
    this.around = around
  }

  opened(link: Link, welcome: typeof Welcome.Type): void {
    this.link = link
    this.welcome = welcome
  }

  lost(): void {
    this.link = this.welcome = undefined
    this.waiting.clear()
  }

  /** Asks on the connection that is there, and returns the id under which it is answered. */
  ask(asked: Asked, answered?: (answer: Answered) => void): number {
    return this.askAs((id) => ({ text: JSON.stringify({ ...asked, id }) }), answered)
  }

  /** The same with a message that is written already. */
  askAs(write: (id: number) => Outgoing, answered?: (answer: Answered) => void): number {
    const id = this.next()
    if (answered !== undefined) this.waiting.set(id, answered)
    this.link?.push(write(id))
    return id
  }

  /** Sends what passes by, if there is a connection; the latest of a name counts. */
  pass(name: string, asked: Asked): void {
    const id = this.next()
    this.link?.pass(name, JSON.stringify({ ...asked, id }))
  }

  /** Nobody waits for this answer any more. */
  forget(id: number): void {
    this.waiting.delete(id)
  }

  private next(): number {
    return this.id = this.id === lastOfIds ? 1 : this.id + 1
  }

  answered(answer: Answered): void {
    if (answer.type === "failed") count(this.counts.failures, answer.code)
    const answered = this.waiting.get(answer.id)
    this.waiting.delete(answer.id)
    answered?.(answer)
  }
}
