/**
 * The subjects of `Conformance.test.ts`: an echo server and an echo client.
 *
 * STAND-IN: until the library's own server and client exist, these are those of
 * `ws`. Then only `openSubjects` changes: it gives the library's, with
 * `isStandIn: false`, and from then on docs/conformance.md is written and
 * nothing but full marks passes.
 */
import type { ClientSubject, ServerSubject } from "./runner.ts"
import { wsClient, wsServer } from "./wsSubject.ts"

export interface Subjects {
  /** Listens on 127.0.0.1, any path; 16 MiB a message, 65,536 fragments; no extension. */
  readonly server: ServerSubject
  /** One connection a call; the same limits; the promise ends when the connection is closed. */
  readonly client: ClientSubject
  readonly isStandIn: boolean
  readonly close: () => Promise<void>
}

export const openSubjects = async (): Promise<Subjects> => {
  const server = await wsServer()
  return { server, client: wsClient(), isStandIn: true, close: async () => server.close() }
}
