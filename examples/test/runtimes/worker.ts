/** A Worker that serves the programs, and that checks the promises itself where it is asked to by `/check?url=…`. */
import { NativeWebSocketClient, WorkersHttpServer } from "@effect-ws/core"
import { Effect } from "effect"
import { Programs } from "./programs.ts"
import { run } from "./promises.ts"

const serve = WorkersHttpServer.toFetch(Programs)

// oxlint-disable-next-line import/no-default-export -- what Workers look for
export default {
  async fetch(request: Request, env: unknown, context: WorkersHttpServer.ExecutionContext): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url)
    if (pathname !== "/check") return serve(request, env, context)
    const place = { url: searchParams.get("url") ?? "", isHandshakeHidden: true }
    return Response.json(await Effect.runPromise(Effect.provide(run(place), NativeWebSocketClient.layer)))
  }
}
