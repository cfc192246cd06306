/**
 * The suite as a server that waits for a client to test. It speaks the language of Autobahn's fuzzing server, which the
 * test programs of many libraries know (`/getCaseCount`, `/runCase?case=1&agent=name`, `/getCaseInfo`,
 * `/getCaseStatus`, `/updateReports`). A client that knows nothing of it is given one case after the other, on
 * whatever other path it connects.
 */
import { once } from "node:events"
import * as Net from "node:net"
import { type Case, close, text } from "./cases/Case.ts"
import { answerHead, type Head, Peer, readHead } from "./Peer.ts"
import { type Result, runAcceptedCase, type RunOptions } from "./Runner.ts"
import { encode } from "./wire/Frames.ts"

export interface HostOptions {
  readonly host: string
  readonly port: number
  readonly cases: ReadonlyArray<Case>
  readonly run?: RunOptions | undefined
  /** The name of a client that does not say its own. */
  readonly agent: string
  readonly onBegin?: ((item: Case) => void) | undefined
  readonly onResult: (agent: string, result: Result, item: Case) => void
  /** A client said that it is done, or has been through all cases. */
  readonly onDone: () => void
}

export interface Host {
  readonly url: string
  readonly port: number
  readonly close: () => void
}

const patience = 10_000

/** Says one text, then closes. */
const say = async (socket: Net.Socket, head: Head, words: string | undefined): Promise<void> => {
  const { early } = answerHead(socket, head)
  const peer = new Peer("server", socket, early)
  try {
    const frames = [...(words === undefined ? [] : [text(words)]), close(1000)]
    peer.closeSent = true
    await peer.write(encode(frames, false))
    await peer.until(() => peer.isClosing, patience)
    peer.end()
    await peer.until(() => peer.gone, patience)
  } finally {
    peer.destroy()
  }
}

/** Listens until it is closed. */
export const serveClients = async (options: HostOptions): Promise<Host> => {
  const { cases } = options
  const results = new Map<string, Map<string, Result>>()
  // For clients that do not ask for a case by its number.
  let next = 0
  const playing = new Set<Promise<void>>()

  const playAlone = async (socket: Net.Socket, head: Head, item: Case, agent: string): Promise<void> => {
    options.onBegin?.(item)
    const open = async (_: number, { negotiation }: Case): Promise<Peer> => {
      const { agreement, early } = answerHead(socket, head, negotiation)
      return new Peer("server", socket, early, agreement)
    }
    const result = await runAcceptedCase(open, item, options.run)
    const own = results.get(agent) ?? new Map<string, Result>()
    results.set(agent, own.set(item.id, result))
    options.onResult(agent, result, item)
  }

  const play = async (socket: Net.Socket, head: Head, item: Case, agent: string): Promise<void> => {
    const played = playAlone(socket, head, item, agent)
    playing.add(played)
    try {
      await played
    } finally {
      playing.delete(played)
    }
  }

  const serve = async (socket: Net.Socket): Promise<void> => {
    const head = await readHead(socket, patience)
    const target = head.lines[0]!.split(" ")[1] ?? "/"
    const url = URL.parse(target, "ws://suite.invalid") ?? new URL("ws://suite.invalid/")
    const agent = url.searchParams.get("agent") ?? options.agent
    const item = cases[Number(url.searchParams.get("case") ?? Number.NaN) - 1]
    switch (url.pathname) {
      case "/getCaseCount":
        return await say(socket, head, String(cases.length))
      case "/getCaseInfo":
        return await say(socket, head, item && JSON.stringify({ id: item.id, description: item.description }))
      case "/getCaseStatus":
        return await say(socket, head, JSON.stringify({ behavior: item && results.get(agent)?.get(item.id)?.behaviour }))
      case "/updateReports":
      case "/stopServer":
        await say(socket, head, undefined)
        // The client is done once its connection is gone, the suite only then begins to judge.
        await Promise.allSettled(playing)
        return options.onDone()
      case "/runCase":
        return item === undefined ? await say(socket, head, undefined) : await play(socket, head, item, agent)
      default: {
        const following = cases[next++]
        if (following === undefined) return await say(socket, head, undefined)
        await play(socket, head, following, agent)
        if (results.get(agent)?.size === cases.length) options.onDone()
      }
    }
  }

  const sockets = new Set<Net.Socket>()
  const server = Net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on("error", () => undefined)
    socket.on("close", () => sockets.delete(socket))
    serve(socket).catch(() => socket.destroy())
  })
  server.listen(options.port, options.host)
  await once(server, "listening")
  const { port } = server.address() as Net.AddressInfo
  const name = options.host.includes(":") ? `[${options.host}]` : options.host
  return {
    url: `ws://${name}:${port}/`,
    port,
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    }
  }
}
