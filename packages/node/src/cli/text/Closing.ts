/**
 * How a connection closed, in words.
 */
import { CloseCode } from "@effect-ws/core"
import { oneLine, type Style } from "../terminal/Style.ts"

const meanings: ReadonlyMap<number, string> = new Map([
  [1000, "the conversation is over, and all went well"],
  [1001, "a server shuts down, or the user left the page"],
  [1002, "the sender of the Close says that the other side broke the protocol"],
  [1003, "the sender of the Close cannot process this kind of message, such as binary instead of text"],
  [1005, "the Close frame carried no code"],
  [1006, "the connection broke without a Close frame: a crash, a proxy's timeout or a network failure"],
  [1007, "a message did not match its type, such as text that is not valid UTF-8"],
  [1008, "a policy was violated: often authentication, an idle timeout or a rate limit"],
  [1009, "a message is larger than the sender of the Close accepts"],
  [1010, "the client needs an extension that the server did not accept"],
  [1011, "an unexpected error in the program that closed"],
  [1012, "the service restarts; connect again"],
  [1013, "the service is overloaded; try again later"],
  [1014, "a gateway received an invalid response from the server behind it"]
])

/** What a close code means. */
export const meaningOf = (code: number): string =>
  meanings.get(code) ??
    (CloseCode.isApplication(code)
      ? code >= 4000
        ? "a code of the application; see its documentation"
        : "a code registered by a library or framework"
      : "a code that is not assigned")

/** Whether a connection ended properly: both sides sent a Close, and its code is no error. */
export const isFine = (info: CloseCode.CloseInfo): boolean =>
  info.clean && (info.code === 1000 || info.code === 1001 || info.code === 1005)

/** How a connection closed, on one line, with the meaning of the code. */
export const describe = (info: CloseCode.CloseInfo, style: Style, self: "client" | "server" = "client"): string => {
  const peer = self === "client" ? "the server" : "the client"
  const by = info.code === 1006 ? "" : info.initiator === "local" ? " by this side" : ` by ${peer}`
  const reason = info.reason === "" ? "" : `: ${oneLine(info.reason)}`
  const unclean = info.clean || info.code === 1006 ? "" : ", not cleanly: the other side did not answer with a Close frame"
  const head = `Closed${by} with ${info.code} ${CloseCode.nameOf(info.code)}${reason}${unclean}`
  const paint = isFine(info) ? style.green : style.red
  return `${paint(head)} ${style.dim(`(${meaningOf(info.code)})`)}`
}
