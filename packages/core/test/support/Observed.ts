/** What is seen of connections: registries, log lines and spans of a test's own. */
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"

/** A registry of its own, so that tests do not count each other's connections. */
export const fresh = Layer.sync(Metric.MetricRegistry, () => new Map())

export interface Line {
  readonly level: string
  readonly message: string
  readonly annotations: Readonly<Record<string, unknown>>
  readonly cause: string
}

export const keepLogs = (into: Array<Line>) =>
  Layer.mergeAll(
    Logger.layer([
      Logger.make(({ cause, fiber, logLevel, message }) => {
        const annotations = { ...fiber.getRef(References.CurrentLogAnnotations) }
        into.push({ level: logLevel, message: String(message), annotations, cause: cause.toString() })
      })
    ]),
    Layer.succeed(References.MinimumLogLevel, "Debug")
  )

export const keepSpans = (into: Array<Tracer.NativeSpan>) =>
  Layer.succeed(
    Tracer.Tracer,
    Tracer.make({
      span: (options) => {
        const span = new Tracer.NativeSpan(options)
        into.push(span)
        return span
      }
    })
  )
