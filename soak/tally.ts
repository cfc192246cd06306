/** What became of all messages of a soak: what one side sent is compared with what the other received, both ways. */
import { Histogram } from "./histogram.ts"
import { add, type Counts, noCounts } from "./ledger.ts"
import { type Account, type ClientReport, latencies, type Latency, type Session } from "./messages.ts"

// The first ones tell enough.
const maxProblems = 50

export class Tally {
  /** From clients to the server, and back. */
  there: Counts = noCounts
  back: Counts = noCounts
  connections = 0
  problemCount = 0
  readonly problems: Array<string> = []
  readonly latencies = Object.fromEntries(latencies.map((name) => [name, new Histogram()])) as Record<Latency, Histogram>
  private readonly accounts = new Map<string, Account>()
  private readonly sessions = new Map<string, Session>()

  problem(what: string): void {
    this.problemCount++
    if (this.problems.length < maxProblems) this.problems.push(what)
  }

  addAccounts(accounts: ReadonlyArray<Account>): void {
    for (const account of accounts) {
      this.accounts.set(account.key, account)
      this.match(account.key)
    }
  }

  addClient({ latencies: recorded, sessions }: ClientReport): void {
    for (const name of latencies) this.latencies[name].merge(recorded[name])
    for (const session of sessions) {
      this.sessions.set(session.key, session)
      this.match(session.key)
    }
  }

  private match(key: string): void {
    const session = this.sessions.get(key)
    const account = this.accounts.get(key)
    if (session === undefined || (account === undefined && session.sent > 0)) return
    if (account === undefined && session.problem === undefined) return
    this.sessions.delete(key)
    this.accounts.delete(key)
    this.settle(session, account)
  }

  private settle({ counts, key, problem, sent }: Session, account: Account | undefined): void {
    this.connections++
    this.back = add(this.back, counts)
    if (problem !== undefined) this.problem(`connection ${key}: ${problem}`)
    if (account === undefined) {
      this.there = add(this.there, { ...noCounts, missing: sent })
      return
    }
    const missing = account.counts.missing + Math.max(0, sent - account.next)
    this.there = add(this.there, { ...account.counts, missing })
    if (account.end !== "") this.problem(`connection ${key}, as the server saw it: ${account.end}`)
  }

  /** Everything has ended: what has no counterpart now has none. */
  finish(): void {
    for (const session of this.sessions.values()) {
      if (session.problem === undefined) this.problem(`connection ${session.key}: the server knows nothing of it`)
      this.settle(session, undefined)
    }
    for (const { key } of this.accounts.values()) this.problem(`connection ${key}: only the server knows of it`)
    this.sessions.clear()
    this.accounts.clear()
  }
}
