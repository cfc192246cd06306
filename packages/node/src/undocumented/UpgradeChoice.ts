/**
 * Decides which requests that offer an upgrade become one, on a Node that reads the body of such a request
 * before it emits an event (26). On others `OrdinaryRequest` puts the request back. Node documents
 * `shouldUpgradeCallback` as an option of `createServer`; here the server exists already, so the property that
 * the option sets is set.
 *
 * Up to 26.10 Node has a fault with a request that is not wanted: requests that were pipelined after it, in one
 * segment, are lost. So it is not used there.
 */
import type * as Http from "node:http"

type Choice = (message: Http.IncomingMessage) => boolean

interface Choosing {
  shouldUpgradeCallback?: Choice | undefined
}

/** Whether Node reads bodies before it reports an upgrade. */
export const readsBodies = Number(process.versions.node.split(".")[0]) >= 26

/**
 * Calls `wants` for each request that offers an upgrade, in addition to the server's own callback. Other requests
 * are ordinary ones. Returns what undoes it.
 */
export const choose = (server: Http.Server, wants: Choice, isNeeded = readsBodies): () => void => {
  const choosing = server as Choosing
  const before = choosing.shouldUpgradeCallback
  if (!isNeeded || typeof before !== "function") return () => {}
  const both: Choice = (message) => wants(message) && before.call(server, message)
  choosing.shouldUpgradeCallback = both
  return () => {
    // Someone who came later goes on to ask us, which does no harm.
    if (choosing.shouldUpgradeCallback === both) choosing.shouldUpgradeCallback = before
  }
}
