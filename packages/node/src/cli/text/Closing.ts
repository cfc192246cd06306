/**
 * How a connection closed, in words.
 */
import { CloseCode } from "@effect-ws/core"
import { oneLine, type Style } from "../terminal/Style.ts"

const meanings: ReadonlyMap<number, string> = new Map([
  [1000, "the conversation is over, all went well"],
  [1001, "that side goes away: a server shuts down, or a page was left"],
  [1002, "that side says the other one broke the protocol"],
  [1003, "that side cannot process this kind of message, such as binary instead of text"],
  [1005, "the Close frame carried no code"],
  [1006, "the connection broke without a Close frame: a crash, a proxy's timeout or a network failure"],
  [1007, "a text message, or a Close reason, was not valid UTF-8 or not what its type promises"],
  [1008, "a policy of that side was violated: often authentication, an idle timeout or a rate limit"],
  [1009, "a message is larger than that side accepts"],
  [1010, "the client needs an extension that the server did not accept"],
  [1011, "that side met an unexpected error"],
  [1012, "the service restarts; connecting again will help"],
  [1013, "the service is overloaded; try again later"],
  [1014, "a gateway got an invalid answer from the server behind it"]
])

/** What a close code means. */
export const meaningOf = (code: number): string =>
  meanings.get(code) ??
    (CloseCode.isApplication(code)
      ? code >= 4000
        ? "a code of the application's own; its documentation says what it means"
        : "a code registered by a library or framework"
      : "a code that is not assigned")

/** Whether a connection ended as it should: both sides said so, and neither complained. */
export const isFine = (info: CloseCode.CloseInfo): boolean =>
  info.clean && (info.code === 1000 || info.code === 1001 || info.code === 1005)

/** One line, and what the code means. */
export const describe = (info: CloseCode.CloseInfo, style: Style, self: "client" | "server" = "client"): string => {
  const peer = self === "client" ? "the server" : "the client"
  const by = info.code === 1006 ? "" : info.initiator === "local" ? " by this side" : ` by ${peer}`
  const reason = info.reason === "" ? "" : `: ${oneLine(info.reason)}`
  const unclean = info.clean || info.code === 1006 ? "" : ", not cleanly: the other side did not answer with a Close frame"
  const head = `Closed${by} with ${info.code} ${CloseCode.nameOf(info.code)}${reason}${unclean}`
  const paint = isFine(info) ? style.green : style.red
  return `${paint(head)} ${style.dim(`(${meaningOf(info.code)})`)}`
}
