/** When a platform says that a connection may be possible again: "online", and waking from sleep. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"

interface Events {
  readonly addEventListener: (type: string, listener: () => void) => void
  readonly removeEventListener: (type: string, listener: () => void) => void
}

const isEvents = (target: unknown): target is Events =>
  typeof target === "object" && target !== null && "addEventListener" in target &&
  typeof target.addEventListener === "function" && "removeEventListener" in target

/** The parts of a page or a worker that are used here; other platforms do not have them. */
export interface Page {
  readonly navigator?: { readonly onLine?: unknown } | undefined
  readonly document?: unknown
}

/** The network events of a page or a worker; `undefined` on a platform that has none. */
export const ofPage = (page: Page & object): Stream.Stream<void> | undefined => {
  const { document, navigator } = page
  if (!isEvents(page) || typeof navigator?.onLine !== "boolean") return undefined
  return Stream.callback<void>((queue) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const improved = () => {
          Queue.offerUnsafe(queue, undefined)
        }
        // A hidden page loses its timers and perhaps its network.
        const shown = () => {
          if (document !== undefined && (document as { visibilityState?: unknown }).visibilityState === "visible") improved()
        }
        page.addEventListener("online", improved)
        page.addEventListener("pageshow", improved)
        if (isEvents(document)) {
          document.addEventListener("visibilitychange", shown)
          document.addEventListener("resume", improved)
        }
        return () => {
          page.removeEventListener("online", improved)
          page.removeEventListener("pageshow", improved)
          if (!isEvents(document)) return
          document.removeEventListener("visibilitychange", shown)
          document.removeEventListener("resume", improved)
        }
      }),
      (stop) => Effect.sync(stop)
    ), { bufferSize: 1, strategy: "sliding" })
}

export const Reachability = Context.Reference<Stream.Stream<void> | undefined>(
  "@effect-ws/core/ReconnectingClient/Reachability",
  { defaultValue: () => ofPage(globalThis) }
)
