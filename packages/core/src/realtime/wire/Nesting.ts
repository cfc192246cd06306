/** How deep the values of a JSON text are nested, without parsing it. */

const quote = 0x22
const backslash = 0x5c

/** Whether arrays and objects are nested deeper than `most` levels. Of a text that is no JSON the answer means nothing. */
export const isDeeper = (text: string, most: number): boolean => {
  // Each level takes a bracket at its beginning and one at its end.
  if (text.length <= 2 * most) return false
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x5b:
      case 0x7b:
        if (++depth > most) return true
        break
      case 0x5d:
      case 0x7d:
        depth--
        break
      case quote:
        at = endOfString(text, at + 1)
    }
  }
  return false
}

const endOfString = (text: string, from: number): number => {
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) return at
    if (code === backslash) at++
  }
  return text.length
}
