/** A page that a program serves itself: the files of a folder, its script, and the stylesheet that pages share. */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse, HttpStaticServer } from "effect/http"
import { fileURLToPath } from "node:url"
import { bundle } from "./bundle.ts"

const headers = { "cache-control": "no-cache" }
const sheet = fileURLToPath(new URL("base.css", import.meta.url))

/** Serves a folder, whose address ends in a slash. Its `main.ts` imports what the server does, and is made ready for a browser once, as `main.js`. */
export const layer = (folder: URL) =>
  Layer.unwrap(Effect.gen(function*() {
    const root = fileURLToPath(folder)
    const script = yield* bundle(`${root}main.ts`)
    return Layer.mergeAll(
      HttpStaticServer.layer({ root, cacheControl: headers["cache-control"] }),
      HttpRouter.add("GET", "/base.css", HttpServerResponse.file(sheet, { headers })),
      HttpRouter.add("GET", "/main.js", HttpServerResponse.text(script, { contentType: "text/javascript", headers }))
    )
  }))
