import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ofPage } from "../../src/reconnect/Reachability.ts"

class FakeDocument extends EventTarget {
  visibilityState = "hidden"
}

class FakePage extends EventTarget {
  readonly navigator = { onLine: true }
  readonly document = new FakeDocument()
}

describe("ofPage", () => {
  it.effect("emits when a page comes online, is shown, or wakes up; and stops listening", () =>
    Effect.gen(function*() {
      const page = new FakePage()
      const listeners = new Map<string, number>()
      for (const target of [page, page.document]) {
        const add = target.addEventListener.bind(target)
        const remove = target.removeEventListener.bind(target)
        target.addEventListener = (type: string, listener: EventListener) => {
          listeners.set(type, (listeners.get(type) ?? 0) + 1)
          add(type, listener)
        }
        target.removeEventListener = (type: string, listener: EventListener) => {
          listeners.set(type, (listeners.get(type) ?? 0) - 1)
          remove(type, listener)
        }
      }
      const scope = yield* Scope.make()
      const seen = yield* Queue.unbounded<void>()
      const signs = ofPage(page)
      if (signs === undefined) return assert.fail("a page gives signs")
      yield* Effect.forkIn(Stream.runForEach(signs, () => Queue.offer(seen, undefined)), scope, { startImmediately: true })
      yield* Effect.yieldNow
      const happens = (target: EventTarget, type: string) =>
        Effect.andThen(Effect.sync(() => target.dispatchEvent(new Event(type))), Queue.take(seen))
      yield* happens(page, "online")
      yield* happens(page, "pageshow")
      yield* happens(page.document, "resume")
      page.document.dispatchEvent(new Event("visibilitychange"))
      page.document.visibilityState = "visible"
      yield* happens(page.document, "visibilitychange")
      assert.strictEqual(Queue.sizeUnsafe(seen), 0)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual([...listeners.values()], [0, 0, 0, 0])
    }))

  it("no other platform gives signs", () => {
    assert.strictEqual(ofPage(globalThis), undefined)
    assert.strictEqual(ofPage({}), undefined)
    assert.strictEqual(ofPage(Object.assign(new EventTarget(), { navigator: {} })), undefined)
  })
})
