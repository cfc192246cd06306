/**
 * JSON laid out for reading. It works on the text itself, so that numbers keep all of their digits, and names that occur
 * twice stay.
 */
import type { Style } from "./Style.ts"
import { visible } from "./Style.ts"

/** Longer texts are shown unchanged, because laying them out takes time. */
const longest = 1024 * 1024

const isSpace = (char: string | undefined): boolean => char === " " || char === "\n" || char === "\r" || char === "\t"

/** Whether a text is a JSON object or array. */
export const isJson = (text: string): boolean => {
  if (text.length > longest) return false
  const first = text.trimStart()[0]
  if (first !== "{" && first !== "[") return false
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** The tokens of a text that is JSON: punctuation, and strings and other values unchanged. */
const tokensOf = (text: string): ReadonlyArray<string> => {
  const tokens: Array<string> = []
  let at = 0
  while (at < text.length) {
    const char = text[at]!
    if (isSpace(char)) {
      at++
    } else if ("{}[],:".includes(char)) {
      tokens.push(char)
      at++
    } else {
      let end = at + 1
      if (char === "\"") {
        while (text[end] !== "\"") end += text[end] === "\\" ? 2 : 1
        end++
      } else {
        while (end < text.length && !isSpace(text[end]) && !"{}[],:".includes(text[end]!)) end++
      }
      tokens.push(text.slice(at, end))
      at = end
    }
  }
  return tokens
}

const paint = (token: string, isName: boolean, style: Style): string => {
  const shown = visible(token)
  if (token.startsWith("\"")) return isName ? style.blue(shown) : style.green(shown)
  if (token === "true" || token === "false") return style.yellow(shown)
  return token === "null" ? style.dim(shown) : style.cyan(shown)
}

/** The end of the object or array that begins at token `from`, and its width on one line. */
const extent = (tokens: ReadonlyArray<string>, from: number): { readonly end: number; readonly width: number } => {
  let depth = 0
  let width = 0
  let end = from
  for (; end < tokens.length; end++) {
    const token = tokens[end]!
    width += token.length + (token === "," || token === ":" || token === "{" || token === "}" ? 1 : 0)
    if (token === "{" || token === "[") depth++
    if ((token === "}" || token === "]") && --depth === 0) break
  }
  return { end, width }
}

/** A text that {@link isJson}: on one line if that fits into `columns`, otherwise indented by two spaces a level. */
export const pretty = (text: string, style: Style, columns: number): string => {
  const tokens = tokensOf(text)
  let out = ""
  let depth = 0
  // Everything up to this token goes on one line.
  let flatUntil = -1
  const newLine = () => {
    out += `\n${"  ".repeat(depth)}`
  }
  tokens.forEach((token, index) => {
    const before = tokens[index - 1]
    const flat = index <= flatUntil
    if (token === "{" || token === "[") {
      if (!flat) {
        const { end, width } = extent(tokens, index)
        if (width + 2 * depth <= columns || end === index + 1) flatUntil = end
      }
      depth++
      out += token
      const isEmpty = index + 1 <= flatUntil && (tokens[index + 1] === "}" || tokens[index + 1] === "]")
      if (index <= flatUntil) out += token === "{" && !isEmpty ? " " : ""
      else newLine()
    } else if (token === "}" || token === "]") {
      depth--
      if (!flat) newLine()
      else if (token === "}" && before !== "{") out += " "
      out += token
    } else if (token === ",") {
      out += ","
      if (flat) out += " "
      else newLine()
    } else if (token === ":") {
      out += ": "
    } else {
      out += paint(token, tokens[index + 1] === ":", style)
    }
  })
  return out
}
