/** WebSockets of a platform's, with events and as streams, that the test controls. */
import type { EventLike, WebSocketLike } from "../../src/native/EventTransport.ts"

export class FakeNative implements WebSocketLike {
  static readonly made: Array<FakeNative> = []
  binaryType = "blob"
  bufferedAmount = 0
  readyState = 0
  protocol = ""
  extensions = ""
  readonly sent: Array<string> = []
  readonly arguments: ReadonlyArray<unknown>
  private readonly listeners = new Map<string, Set<(event: EventLike) => void>>()

  constructor(...given: ReadonlyArray<unknown>) {
    this.arguments = given
    FakeNative.made.push(this)
  }

  send(data: string | Uint8Array): void {
    this.sent.push(typeof data === "string" ? data : `binary ${data.length}`)
  }

  close(code?: number, reason?: string): void {
    this.sent.push(`close ${code ?? ""} ${reason ?? ""}`.trimEnd())
    if (this.readyState < 2) this.readyState = 2
  }

  addEventListener(type: string, listener: (event: EventLike) => void): void {
    const listeners = this.listeners.get(type) ?? new Set()
    this.listeners.set(type, listeners.add(listener))
  }

  removeEventListener(type: string, listener: (event: EventLike) => void): void {
    this.listeners.get(type)?.delete(listener)
  }

  get listening(): number {
    return [...this.listeners.values()].reduce((sum, { size }) => sum + size, 0)
  }

  happens(type: string, event: Omit<EventLike, "type"> = {}): void {
    if (type === "open") this.readyState = 1
    if (type === "close") this.readyState = 3
    for (const listener of new Set(this.listeners.get(type))) listener({ type, ...event })
  }
}
