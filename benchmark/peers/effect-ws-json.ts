/** Answers orders, see `order.ts`: all that have arrived together are answered together. */
import * as Stream from "effect/Stream"
import { answer } from "./order.ts"
import { serve } from "./serve.ts"

serve((ws) => Stream.runForEach(ws.batches, (orders) => ws.sendAll(orders.map((order) => answer(String(order))))))
