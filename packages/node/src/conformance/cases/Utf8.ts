/** The octet sequences of cases 6.5-6.23, after Markus Kuhn's UTF-8 decoder test. */

export interface Sequences {
  readonly name: string
  readonly members: ReadonlyArray<{ readonly digits: string; readonly valid: boolean }>
}

const group = (name: string, valid: boolean, ...digits: ReadonlyArray<string>): Sequences => ({
  name,
  members: digits.map((digits) => ({ digits, valid }))
})

const ascii = (text: string): string => Buffer.from(text, "latin1").toString("hex")
const between = (digits: string): string => ascii("hello") + digits + ascii("world")
const range = (from: number, to: number): ReadonlyArray<number> =>
  Array.from({ length: to - from }, (_, index) => from + index)
const octets = (values: ReadonlyArray<number>): string => Buffer.from(values).toString("hex")

const kosme = "cebae1bdb9cf83cebcceb5"
/** Where a code point of `kosme` ends: only these prefixes are whole. */
const kosmeEnds: ReadonlyArray<number> = [2, 5, 7, 9, 11]

const missingLast: ReadonlyArray<string> = [
  "c0",
  "e080",
  "f08080",
  "f8808080",
  "fc80808080",
  "df",
  "efbf",
  "f7bfbf",
  "fbbfbfbf",
  "fdbfbfbfbf"
]

/** U+xFFFE and U+xFFFF of every plane are not characters, and yet valid UTF-8 (RFC 3629). */
const nonCharacters: ReadonlyArray<string> = range(0, 17).flatMap((plane) =>
  [0xfffe, 0xffff].map((low) => Buffer.from(String.fromCodePoint((plane << 16) | low), "utf8").toString("hex"))
)

export const sequences: ReadonlyArray<Sequences> = [
  // 6.5
  group("Correct text", true, between("24"), between("c2a2"), between("e282ac"), between("f0a4ada2"), kosme),
  // 6.6
  {
    name: "Prefix of correct text",
    members: range(1, 12).map((length) => ({
      digits: kosme.slice(0, 2 * length),
      valid: kosmeEnds.includes(length)
    }))
  },
  // 6.7
  group("First of its length", true, "00", "c280", "e0a080", "f0908080"),
  // 6.8
  group("First of length 5 or 6", false, "f888808080", "fc8480808080"),
  // 6.9
  group("Last of its length", true, "7f", "dfbf", "efbfbf", "f48fbfbf"),
  // 6.10
  group("Last of length 4, 5 or 6", false, "f7bfbfbf", "fbbfbfbfbf", "fdbfbfbfbfbf"),
  // 6.11
  {
    name: "Other border",
    members: [
      ...group("", true, "ed9fbf", "ee8080", "efbfbd", "f48fbfbf").members,
      ...group("", false, "f4908080").members
    ]
  },
  // 6.12: the last holds every continuation octet but 0xbf, as published
  group(
    "Unexpected continuation",
    false,
    "80",
    "bf",
    "80bf",
    "80bf80",
    "80bf80bf",
    "80bf80bf80",
    "80bf80bf80bf",
    octets(range(0x80, 0xbf))
  ),
  // 6.13: start octets of each length, each followed by a space
  group(
    "Lonely start",
    false,
    ...([[0xc0, 0xdf], [0xe0, 0xef], [0xf0, 0xf7], [0xf8, 0xfb], [0xfc, 0xfd]] as const).map(([from, to]) =>
      octets(range(from, to).flatMap((start) => [start, 0x20]))
    )
  ),
  // 6.14
  group("Last continuation missing", false, ...missingLast),
  // 6.15
  group("Incomplete sequences joined", false, missingLast.join("")),
  // 6.16
  group("Impossible octet", false, "fe", "ff", "fefeffff"),
  // 6.17
  group("Overlong ASCII", false, "c0af", "e080af", "f08080af", "f8808080af", "fc80808080af"),
  // 6.18
  group("Greatest overlong", false, "c1bf", "e09fbf", "f08fbfbf", "f887bfbfbf", "fc83bfbfbfbf"),
  // 6.19
  group("Overlong NUL", false, "c080", "e08080", "f0808080", "f880808080", "fc8080808080"),
  // 6.20
  group("Single surrogate", false, "eda080", "edadbf", "edae80", "edafbf", "edb080", "edbe80", "edbfbf"),
  // 6.21
  group(
    "Paired surrogates",
    false,
    ...["eda080", "edadbf", "edae80", "edafbf"].flatMap((high) => ["edb080", "edbfbf"].map((low) => high + low))
  ),
  // 6.22
  group("Not a character", true, ...nonCharacters),
  // 6.23
  group("Special", true, "efbfb9", "efbfba", "efbfbb", "efbfbc", "efbfbd", "efbfbe", "efbfbf")
]
