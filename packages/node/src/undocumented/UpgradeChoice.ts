/**
 * Which requests that offer an upgrade become one, on a Node that reads the body of such a
 * request before anyone is told of it (26): elsewhere `OrdinaryRequest` puts it back. Node
 * documents `shouldUpgradeCallback` as an option of `createServer`; here the server is made
 * already, so the property is set that the option becomes.
 *
 * What Node does with a request that is not wanted has a fault up to 26.10: requests that were
 * pipelined behind it, in one segment, are lost. That is why older ones are not asked.
 */
import type * as Http from "node:http"

type Choice = (message: Http.IncomingMessage) => boolean

interface Choosing {
  shouldUpgradeCallback?: Choice | undefined
}

/** Whether Node reads bodies before it tells of an upgrade. */
export const readsBodies = Number(process.versions.node.split(".")[0]) >= 26

/**
 * Asks `wants` about each request that offers an upgrade, beside what the server itself says;
 * the others are ordinary requests. Gives what undoes it.
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
