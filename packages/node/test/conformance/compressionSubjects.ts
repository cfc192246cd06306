/** The subjects of groups 12, 13 and D: as in `subjects.ts`, and with permessage-deflate for messages of every size. */
import type { Subjects } from "./subjects.ts"
import { wsClient, wsServer } from "./wsSubject.ts"

// The one place to switch: until the library has permessage-deflate, `ws` stands in here. Then the server accepts
// compression with threshold 0 and the client offers it so, `isStandIn` is false, and the table shows these groups.
export const openCompressionSubjects = async (): Promise<Subjects> => {
  const options = { perMessageDeflate: { threshold: 0 } }
  const server = await wsServer(options)
  return { server, client: wsClient(options), isStandIn: true, close: async () => server.close() }
}
