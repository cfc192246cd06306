/**
 * What the page shows. Plain DOM, no framework; whatever comes from the network is put into the page
 * as text (textContent), never as HTML.
 */
import { DateTime } from "effect"
import { avatar, element, make } from "../../page/dom.ts"
import type { Person, Said } from "../Protocol.ts"

const status = element("status")
const statusText = element("status-text")
const entry = element("entry")
const room = element("room")
const scroller = element("scroller")
const log = element("log")
const empty = element("empty")
const newer = element<HTMLButtonElement>("newer")
const peopleList = element("people")
const count = element("count")

export const joinForm = element<HTMLFormElement>("join")
export const nameInput = element<HTMLInputElement>("name")
export const joinProblem = element("join-problem")
export const sayForm = element<HTMLFormElement>("say")
export const textInput = element<HTMLTextAreaElement>("text")
export const sendButton = element<HTMLButtonElement>("send")
export const sayProblem = element("say-problem")

const title = document.title
const mostEntries = 500

let me = "" // the name that was given
let last: { readonly name: string; readonly at: number } | undefined // of the newest entry, for grouping
let unread = 0
const seen = new Set<string>() // ids of the messages on the page, so that a reconnect shows none twice

// --- entry and room ---------------------------------------------------------------------

export const showRoom = (name: string, history: ReadonlyArray<Said>): void => {
  if (me !== "") addNotice("Connected again")
  me = name
  entry.hidden = true
  room.hidden = false
  sendButton.disabled = false
  // Old messages are not news: a screen reader need not read them all aloud.
  log.setAttribute("aria-live", "off")
  for (const said of history) addMessage(said)
  setTimeout(() => log.setAttribute("aria-live", "polite"), 100)
  scrollToEnd()
  textInput.focus()
}

/** Back to the form, with what went wrong. */
export const showEntry = (problem: string): void => {
  me = ""
  room.hidden = true
  entry.hidden = false
  joinProblem.textContent = problem
  nameInput.focus()
}

export const isInside = (): boolean => me !== ""

// A screen reader announces the status; a latency that changes is not worth that.
export const showStatus = (state: "connecting" | "open" | "waiting" | "refused", text: string): void => {
  status.setAttribute("aria-live", state === status.dataset["state"] ? "off" : "polite")
  status.dataset["state"] = state
  statusText.textContent = text
}

// --- the log ----------------------------------------------------------------------------

export const addMessage = ({ at, id, name, text }: Said): void => {
  if (seen.has(id)) return
  seen.add(id)
  const time = DateTime.toEpochMillis(at)
  const mine = name === me
  const more = last?.name === name && time - last.at < 5 * 60_000
  const message = make("article", `message${mine ? " mine" : ""}${more ? " more" : ""}`)
  const head = make("p", "head")
  const who = make("b", "", mine ? "You" : name)
  who.dir = "auto"
  head.append(who, " ", clock(at))
  const bubble = make("p", "bubble", text)
  bubble.dir = "auto"
  bubble.title = new Date(time).toLocaleString()
  message.append(head, avatar(name), bubble)
  last = { name, at: time }
  add(message)
  if (!mine && document.hidden) document.title = `(${++unread}) ${title}`
}

export const addNotice = (text: string, at?: DateTime.Utc): void => {
  const notice = make("p", "notice", text)
  if (at !== undefined) notice.append(" ", clock(at))
  last = undefined
  add(notice)
}

const add = (entry: HTMLElement): void => {
  const atEnd = isAtEnd()
  const mine = entry.classList.contains("mine")
  log.append(entry)
  while (log.childElementCount > mostEntries) log.firstElementChild?.remove()
  empty.hidden = log.querySelector(".message") !== null
  // Who reads older messages is not pulled away from them.
  if (atEnd || mine) scrollToEnd()
  else newer.hidden = false
}

const isAtEnd = (): boolean => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 60

const scrollToEnd = (): void => {
  scroller.scrollTop = scroller.scrollHeight
  newer.hidden = true
}

// --- who is there -----------------------------------------------------------------------

export const showPeople = (people: ReadonlyArray<Person>): void => {
  count.textContent = String(people.length)
  const sorted = [...people].sort((a, b) =>
    Number(b.name === me) - Number(a.name === me) || a.name.localeCompare(b.name)
  )
  peopleList.replaceChildren(...sorted.map(({ latencyMillis, name }) => {
    const item = make("li")
    const who = make("span", "who", name)
    who.dir = "auto"
    who.title = name
    if (name === me) who.append(make("span", "you", " (you)"))
    const latency = make("span", "latency", milliseconds(latencyMillis))
    latency.title = "round trip between the server and this person"
    item.append(avatar(name), who, latency)
    return item
  }))
  const own = people.find(({ name }) => name === me)?.latencyMillis ?? null
  showStatus("open", own === null ? "Connected" : `Connected · ${milliseconds(own)}`)
}

// --- small things -----------------------------------------------------------------------

const clock = (at: DateTime.Utc): HTMLElement => {
  const date = new Date(DateTime.toEpochMillis(at))
  const made = document.createElement("time")
  made.textContent = date.toLocaleTimeString([], { timeStyle: "short" })
  made.dateTime = date.toISOString()
  return made
}

const milliseconds = (value: number | null): string =>
  value === null ? "" : value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`

export const fitText = (): void => {
  textInput.style.height = "auto"
  textInput.style.height = `${textInput.scrollHeight + 2}px`
}

textInput.addEventListener("input", fitText)
textInput.addEventListener("keydown", (event) => {
  // Enter also ends the composition of, say, a Japanese word; that one is not ours.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return
  event.preventDefault()
  sayForm.requestSubmit()
})
newer.addEventListener("click", scrollToEnd)
scroller.addEventListener("scroll", () => {
  if (isAtEnd()) newer.hidden = true
})
addEventListener("resize", () => {
  if (newer.hidden) scrollToEnd()
})
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return
  unread = 0
  document.title = title
})
