/**
 * What groups 12 and 13 send: five kinds of data, alike in nature and size to those of the published suite and made
 * here, the same at every run. A case takes its messages from one corpus, one behind the other and around its end.
 */

/** Mulberry32: numbers in [0, limit), the same everywhere. */
const makeRandom = (seed: number) => {
  let state = seed
  return (limit: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }
}
type Random = ReturnType<typeof makeRandom>

const pick = <A>(random: Random, from: ReadonlyArray<A>): A => from[random(from.length)]!

/** Parts up to this many characters. */
const until = (length: number, make: (index: number) => string): string => {
  const parts: Array<string> = []
  let size = 0
  for (let index = 0; size < length; index++) {
    const part = make(index)
    parts.push(part)
    size += part.length
  }
  return parts.join("").slice(0, length)
}

const words = ("der die das und ich nicht ist ein mit zu den sich auf so wie dich mir was doch hier nur wenn nach aus " +
  "Geist Welt Nacht Tag Herz Licht Wort Leben Traum Brust Himmel Erde Menschen Stunde Freude Kraft Natur Schmerz " +
  "süße schöne große tiefe alte kühne ew'ge treue für über später müßt wär hört grün weiß bleibt sieht kommt geht " +
  "drängt strebt steht vergeht erscheint verweht gebunden gefunden verschwunden erklingt gelingt Ἀρχή λόγος").split(" ")
const speakers = ["DOKTOR", "SCHÜLER", "WAGNER", "GEIST", "CHOR", "MARTHE"]
const marks = [",", ",", ".", ";", "!", "?", " —", ""]

const verse = (random: Random): string =>
  Array.from({ length: 5 + random(4) }, () => pick(random, words)).join(" ") + pick(random, marks)

const json = (): Buffer => {
  const random = makeRandom(12)
  const digits = (length: number) => Array.from({ length }, () => "0123456789abcdef"[random(16)]!).join("")
  const record = (index: number) =>
    JSON.stringify(
      {
        id: index,
        guid: `${digits(8)}-${digits(4)}-${digits(4)}-${digits(12)}`,
        isActive: random(2) === 0,
        balance: `${random(4000)},${random(90) + 10} €`,
        name: `${pick(random, words)} ${pick(random, speakers)}`,
        email: `${digits(6)}@example.org`,
        about: `${verse(random)} ${verse(random)}`,
        registered: `20${10 + random(15)}-0${1 + random(9)}-1${random(10)}T0${random(10)}:4${random(10)}:00Z`,
        position: [random(180_000) / 1000 - 90, random(360_000) / 1000 - 180],
        tags: Array.from({ length: random(6) }, () => pick(random, words)),
        friend: random(3) === 0 ? null : { id: random(1000), name: pick(random, words) }
      },
      null,
      2
    ) + ",\n"
  return Buffer.from(until(190_000, record), "utf8")
}

/** A bitmap of 512 by 512 grey pixels: slopes, edges and the grain of a photograph. */
const picture = (): Buffer => {
  const random = makeRandom(512)
  const header = Buffer.alloc(54 + 1024)
  header.write("BM", 0, "latin1")
  header.writeUInt32LE(header.length + 512 * 512, 2)
  for (let grey = 0; grey < 256; grey++) header.fill(grey, 54 + 4 * grey, 57 + 4 * grey)
  const pixels = Buffer.alloc(512 * 512)
  for (let y = 0; y < 512; y++) {
    for (let x = 0; x < 512; x++) {
      const isInside = (x - 256) * (x - 256) + (y - 200) * (y - 200) < 150 * 150
      const slope = isInside ? 90 + ((x + 2 * y) >> 4) : 30 + ((3 * x + y) >> 5) + ((x * y) >> 12)
      pixels[512 * y + x] = slope + random(3) + random(3)
    }
  }
  return Buffer.concat([header, pixels])
}

const play = (): Buffer => {
  const random = makeRandom(2229)
  const scene = () =>
    `\n${pick(random, speakers)}.\n` + Array.from({ length: 2 + random(8) }, () => `    ${verse(random)}\n`).join("")
  return Buffer.from(until(218_000, scene), "utf8")
}

const html = (): Buffer => {
  const random = makeRandom(80)
  const row = (index: number) =>
    `<tr class="${index % 2 === 0 ? "even" : "odd"}" id="row-${index}"><td class="name"><a href="/item/${random(1e6)}">` +
    `${verse(random)}</a></td><td class="number">${random(1000)}</td><td>&nbsp;</td></tr>\n`
  const page = (index: number) => (index === 0 ? "<!DOCTYPE html>\n<html><body><table>\n" : row(index))
  return Buffer.from(until(258_000, page), "utf8")
}

/** Like a PDF: instructions in words between streams that are compressed already. */
const paper = (): Buffer => {
  const random = makeRandom(105)
  const parts: Array<Buffer> = [Buffer.from("%PDF-1.4\n%\u00e2\u00e3\u00cf\u00d3\n", "latin1")]
  let size = 0
  for (let index = 1; size < 1_042_328; index++) {
    const stream = Buffer.alloc(500 + random(6000))
    for (let at = 0; at < stream.length; at++) stream[at] = random(256)
    const lines = Array.from({ length: 20 + random(60) }, () =>
      `BT /F${random(9)} ${8 + random(6)} Tf ${random(600)}.${random(100)} ${random(800)} Td (${verse(random)}) Tj ET\n`)
    const part = Buffer.from(
      `${index} 0 obj\n<< /Length ${stream.length} /Filter /FlateDecode >>\nstream\n${stream.toString("latin1")}\n` +
        `endstream\nendobj\n${lines.join("")}`,
      "latin1"
    )
    parts.push(part)
    size += part.length
  }
  return Buffer.concat(parts).subarray(0, 1_042_328)
}

export interface Corpus {
  readonly name: string
  readonly binary: boolean
  /** The message at `index` of those with this length. */
  readonly message: (index: number, length: number) => Uint8Array
}

const isInsideCharacter = (octet: number | undefined): boolean => octet !== undefined && (octet & 0xc0) === 0x80

const corpus = (name: string, binary: boolean, make: () => Buffer): Corpus => {
  let made: Buffer | undefined
  return {
    name,
    binary,
    message: (index, length) => {
      const data = (made ??= make())
      // Text is cut before a character only, so its messages may be an octet or two longer or shorter.
      const border = (at: number): number => {
        if (binary) return at
        let moved = at
        while (isInsideCharacter(data[moved])) moved++
        return moved
      }
      const start = (index * length) % data.length
      const end = start + length
      if (end <= data.length) return data.subarray(border(start), border(end))
      return Buffer.concat([data.subarray(border(start)), data.subarray(0, border(end - data.length))])
    }
  }
}

export const jsonCorpus = corpus("JSON", false, json)

/** In the order of group 12. */
export const corpora: ReadonlyArray<Corpus> = [
  jsonCorpus,
  corpus("Picture", true, picture),
  corpus("Verses", true, play),
  corpus("HTML", true, html),
  corpus("Paper", true, paper)
]
