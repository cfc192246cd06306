/** Names of contracts and codecs: tokens, since a subprotocol is made of them. */

// RFC 9110 §5.6.2: tchar. Programs write these names, so nothing of the wire is matched; a page does not load the grammar
// of HTTP for them.
const token = /^[\w!#$%&'*+.^`|~-]+$/

/** Throws where a program names something by what is no token. */
export const checkName = (what: "contract" | "codec", name: string): void => {
  if (!token.test(name)) throw new Error(`The name of a ${what} is a token, which ${JSON.stringify(name)} is not`)
}
