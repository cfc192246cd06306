/**
 * A bound on the memory of all compression contexts of a process; see
 * `PerMessageDeflate`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import { CompressionBudget, type Options } from "./deflate/CompressionBudget.ts"

export {
  /**
   * A bound on the compression contexts of a process, by count and by measured bytes.
   *
   * @category models
   * @since 0.1.0
   */
  CompressionBudget,
  /**
   * How much the contexts may take.
   *
   * @category models
   * @since 0.1.0
   */
  type Options
} from "./deflate/CompressionBudget.ts"

/**
 * Makes a budget. Throws `InvalidArgument` where `processes` is not a whole number from 1 on.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: Options): CompressionBudget => new CompressionBudget(options)

/**
 * The budget of the connections that are made in this context; by default one for the
 * whole process.
 *
 * @category services
 * @since 0.1.0
 */
export const CurrentBudget: Context.Reference<CompressionBudget> = Context.Reference<CompressionBudget>(
  "@effect-ws/core/CompressionBudget/CurrentBudget",
  { defaultValue: () => make() }
)

/**
 * Provides a budget of its own to the connections of a server or a client.
 *
 * **Example** (A smaller budget)
 *
 * ```ts
 * import { CompressionBudget } from "@effect-ws/core"
 *
 * export const layer = CompressionBudget.layer({ bytes: 64 * 1024 * 1024 })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<never> => Layer.sync(CurrentBudget, () => make(options))
