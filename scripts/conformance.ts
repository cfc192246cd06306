/**
 * Runs `effect-ws conformance` on this library and on others, and writes what it finds into docs/conformance.json and
 * docs/conformance.md.
 *
 * Without arguments the library alone is tested, in both roles. `--peers` tests the others too; `--only NAME` those whose
 * name contains this. Bun, Deno and Python's websockets are installed into build/conformance, so that needs a network
 * and Python. `--full` sends all messages of the cases with compression, as published, which takes half an hour or so.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { parseArgs } from "node:util"
import type { Case } from "../packages/node/src/conformance/cases/Case.ts"
import { details, summary } from "../packages/node/src/conformance/report/Markdown.ts"
import { type Agent, findings, fromJson } from "../packages/node/src/conformance/report/Report.ts"
import type { Result, Verdict } from "../packages/node/src/conformance/Runner.ts"
import { allCases, allGroups } from "../packages/node/src/conformance/Selection.ts"
import { root, run } from "./lib/commands.ts"

const { values: flags } = parseArgs({
  options: { peers: { type: "boolean" }, only: { type: "string" }, full: { type: "boolean" }, render: { type: "boolean" } }
})

const folder = join(root, "build/conformance")
const programs = join(root, "scripts/conformance")
const main = join(root, "packages/node/src/cli/Main.ts")
const stored = join(root, "docs/conformance.json")
const page = join(root, "docs/conformance.md")

interface Peer {
  readonly name: string
  readonly role: "server" | "client"
  readonly command: string
  /** A client is given the URL behind these. */
  readonly args: ReadonlyArray<string>
  readonly argsAfter?: ReadonlyArray<string>
}

const program = (file: string) => join(programs, file)
const own = (file: string) => join(root, "packages/node/test/conformance/programs", file)
const versionOf = (name: string): string => {
  const manifest = createRequire(join(root, "package.json")).resolve(`${name}/package.json`)
  return JSON.parse(readFileSync(manifest, "utf8")).version
}

const ours: ReadonlyArray<Peer> = [
  { name: "effect-ws", role: "server", command: process.execPath, args: [own("server.ts")] },
  { name: "effect-ws", role: "client", command: process.execPath, args: [own("client.ts")] }
]

const must = async (command: string, args: ReadonlyArray<string>, cwd = folder): Promise<string> => {
  const { output, status } = await run(command, args, { cwd, quiet: true })
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed:\n${output}`)
  return output.trim()
}

/** Installs what is not among the development dependencies. */
const install = async (): Promise<ReadonlyArray<Peer>> => {
  mkdirSync(folder, { recursive: true })
  if (!existsSync(join(folder, "package.json"))) writeFileSync(join(folder, "package.json"), "{\"private\":true}")
  await must("npm", ["install", "--no-audit", "--no-fund", "--silent", "bun", "deno"])
  if (!existsSync(join(folder, "venv"))) await must("python3", ["-m", "venv", "venv"])
  const python = join(folder, "venv/bin/python")
  await must(python, ["-m", "pip", "install", "--quiet", "websockets"])
  const bun = join(folder, "node_modules/.bin/bun")
  const deno = join(folder, "node_modules/.bin/deno")
  const bunVersion = await must(bun, ["--version"])
  const denoVersion = (await must(deno, ["--version"])).split(" ")[1]!
  const websockets = await must(python, ["-c", "import websockets; print(websockets.__version__)"])
  const whatwg = program("whatwg-client.mjs")
  return [
    { name: `ws ${versionOf("ws")}`, role: "server", command: process.execPath, args: [program("ws-server.mjs")] },
    { name: `Bun ${bunVersion}`, role: "server", command: bun, args: [program("bun-server.mjs")] },
    { name: `Deno ${denoVersion}`, role: "server", command: deno, args: ["run", "-A", program("deno-server.mjs")] },
    { name: `websockets ${websockets} (Python)`, role: "server", command: python, args: [program("websockets-server.py")] },
    { name: `ws ${versionOf("ws")}`, role: "client", command: process.execPath, args: [program("ws-client.mjs")] },
    {
      name: `undici ${versionOf("undici")}`,
      role: "client",
      command: process.execPath,
      args: [whatwg],
      argsAfter: ["undici"]
    },
    { name: `Bun ${bunVersion}`, role: "client", command: bun, args: [whatwg] },
    { name: `Deno ${denoVersion}`, role: "client", command: deno, args: ["run", "-A", whatwg] },
    { name: `websockets ${websockets} (Python)`, role: "client", command: python, args: [program("websockets-client.py")] }
  ]
}

/** The first line of a stream that matches. */
const line = (stream: NodeJS.ReadableStream, pattern: RegExp): Promise<string> =>
  new Promise((resolve, reject) => {
    const lines = createInterface({ input: stream })
    lines.on("line", (text) => {
      const match = pattern.exec(text)
      if (match !== null) resolve(match[0])
    })
    lines.on("close", () => reject(new Error(`a program ended without ${pattern}`)))
  })

const ended = (child: ChildProcess): Promise<void> => new Promise((resolve) => child.once("close", () => resolve()))

const start = (command: string, args: ReadonlyArray<string>) =>
  spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] })

const file = (peer: Peer) => join(folder, `${peer.name} ${peer.role}`.replaceAll(/[^\w.-]+/g, "-") + ".json")

/** Tests one peer; its results are a file. */
const test = async (peer: Peer): Promise<Agent> => {
  const json = file(peer)
  rmSync(json, { force: true })
  const name = `${peer.name} ${peer.role}`
  const args = [main, "conformance", "--agent", name, "--json", json, ...(flags.full ? ["--full"] : [])]
  console.log(`\n- ${name}`)
  if (peer.role === "server") {
    const server = start(peer.command, peer.args)
    try {
      // What it says of violations would fill a pipe that nobody reads.
      server.stderr.resume()
      const url = await line(server.stdout, /ws:\/\/\S+/)
      await run(process.execPath, [...args, "--parallel", "4", url], { cwd: root })
    } finally {
      server.kill()
      await ended(server)
    }
  } else {
    const suite = spawn(process.execPath, [...args, "--client", "--port", "0"], { cwd: root, stdio: ["ignore", "inherit", "pipe"] })
    const url = (await line(suite.stderr, /ws:\/\/[^\s/]+\//))
    const client = start(peer.command, [...peer.args, url, ...peer.argsAfter ?? []])
    client.stdout.resume()
    client.stderr.resume()
    client.once("close", () => setTimeout(() => suite.kill(), 10_000).unref())
    await ended(suite)
    client.kill()
  }
  return fromJson(readFileSync(json, "utf8"))[0]!
}

/** What is kept of a peer: the cases that are not simply as they should be. */
interface Stored {
  readonly name: string
  readonly others: ReadonlyArray<{ readonly verdict: Verdict; readonly message: string; readonly ids: ReadonlyArray<string> }>
  readonly missing: ReadonlyArray<string>
}

const toStored = (agent: Agent): Stored => ({
  name: agent.name,
  others: findings(agent, allGroups),
  missing: allCases.filter(({ id }) => !agent.results.has(id)).map(({ id }) => id)
})

const fromStored = ({ missing, name, others }: Stored): Agent => {
  const absent = new Set(missing)
  const good = (id: string): Result => ({
    id,
    verdict: "OK",
    behaviour: "OK",
    closeBehaviour: "OK",
    code: undefined,
    ms: 0,
    message: ""
  })
  const results = new Map(allCases.filter(({ id }) => !absent.has(id)).map(({ id }) => [id, good(id)]))
  for (const { ids, message, verdict } of others) {
    for (const id of ids) results.set(id, { ...good(id), verdict, message })
  }
  return { name, results }
}

const escape = (text: string): string => text.replaceAll("|", "\\|")

/** What full marks are given for. */
const wanted = (item: Case): string => {
  const { close, ok } = item.script()
  const codes = close.codes.map((code) => code ?? "no code").join(" or ")
  const echoes = item.script().steps.some(({ _tag }) => _tag === "Echoes")
  const events = ok.filter(({ _tag }) => _tag !== "Timeout")
  const answers = echoes
    ? "each message back"
    : events.length === 0
    ? ""
    : events.length > 4
    ? `${events.length} answers`
    : events.map((event) => event._tag === "Pong" ? "pong" : "echo").join(", ")
  return [answers, `${close.by === "subject" ? "failed with" : "closed with"} ${codes}`].filter((part) => part !== "").join(", ")
}

const order = ["effect-ws", "ws", "undici", "Bun", "Deno", "websockets"]
const rank = ({ name }: Agent): number => order.indexOf(name.split(" ")[0]!)

const columnsOf = (role: "server" | "client", agents: ReadonlyArray<Agent>): ReadonlyArray<Agent> =>
  agents.filter(({ name }) => name.endsWith(` ${role}`)).map(({ name, results }) => ({
    name: name.slice(0, -(role.length + 1)),
    results
  })).toSorted((a, b) => rank(a) - rank(b))

const render = (agents: ReadonlyArray<Agent>): string => {
  const part = (role: "server" | "client", title: string) => {
    const columns = columnsOf(role, agents)
    return [`## ${title}`, "", ...summary(columns, allGroups), ...details(columns, allGroups), ""]
  }
  return [
    "# Conformance",
    "",
    "Does a server or a client keep the rules of RFC 6455 (the protocol) and RFC 7692 (compression)? The suite behind",
    "[`effect-ws conformance`](cli.md#conformance) asks 548 questions, numbered as in the public Autobahn testsuite and written",
    "anew from the RFCs and from that suite's published descriptions. It works on raw TCP with frames and a DEFLATE of its own",
    "and shares nothing with this library, so that a fault in the library cannot hide itself.",
    "",
    "```sh",
    "effect-ws conformance ws://127.0.0.1:8080/echo --html report.html   # a server that sends messages back",
    "effect-ws conformance --client                                      # wait for a client that does",
    "```",
    "",
    "The tables below are made by `npm run conformance -- --peers`, from echo programs in `scripts/conformance`; every limit that",
    "stands in the way of a case (message size, number of fragments) is turned off there.",
    "",
    "- **OK**: exactly the expected messages and pongs came back, byte for byte and in order; the closing handshake went as it",
    "  should, with the right code; TCP was closed; and no frame broke the RFC.",
    "- **Non-strict**: allowed, but less than can be had. Invalid UTF-8 is noticed only at the end of a message (6.4), what was whole",
    "  before a violation is not echoed, a violation is answered by dropping TCP without a Close frame, or compression that was",
    "  agreed on compresses nothing.",
    "- **Not implemented**: the case is about compression, and the peer declined it.",
    "- **Failed**: the RFC is broken.",
    "- Where the original only reports, the result counts as OK here, and what happened is listed.",
    "",
    "In places this is stricter than the original: the content of large messages is compared (9), and in groups 12 and 13 OK",
    "also means that RSV1 stood on the first frame of a compressed message and nowhere else, that what was compressed was whole and",
    "referred to nothing outside the agreed window nor, without context takeover, outside the message. Groups 12 and 13 send a sample of",
    "4 to 20 messages a case, with `--full` the published 1000, of data that is like the published one and made by the suite. Group D is",
    "not in the original.",
    "",
    ...part("server", "Servers"),
    ...part("client", "Clients"),
    "Bun's server is built on uWebSockets.",
    "",
    "## The cases",
    "",
    "What is sent, and what full marks are given for. *Closed with*: the code of the answer to the suite's own Close; *failed with*: the",
    "code with which the connection is failed.",
    ...allGroups.flatMap((group) => [
      "",
      `### ${group.title}`,
      "",
      "| case | what is sent | full marks for |",
      "|---|---|---|",
      ...group.cases.map((item) => `| ${item.id} | ${escape(item.description)} | ${wanted(item)} |`)
    ]),
    ""
  ].join("\n")
}

const readStored = (): ReadonlyArray<Stored> => existsSync(stored) ? JSON.parse(readFileSync(stored, "utf8")) : []

/** By role and name without version, so that a newer version takes an older one's place. */
const keyOf = (name: string): string => `${name.split(" ")[0]} ${name.split(" ").at(-1)}`

const known = new Map(readStored().map((entry) => [keyOf(entry.name), entry]))
if (!flags.render) {
  mkdirSync(folder, { recursive: true })
  const isWanted = ({ name, role }: Peer) => flags.only === undefined || `${name} ${role}`.includes(flags.only)
  const peers = [...ours, ...(flags.peers ? await install() : [])].filter(isWanted)
  for (const peer of peers) {
    const agent = await test(peer)
    known.set(keyOf(agent.name), toStored(agent))
    writeFileSync(stored, `${JSON.stringify([...known.values()], null, 1)}\n`)
  }
  const own = [...known.values()].filter(({ name }) => name.startsWith("effect-ws "))
  if (own.some(({ missing, others }) => missing.length > 0 || others.length > 0)) process.exitCode = 1
}
writeFileSync(page, render([...known.values()].map(fromStored)))
