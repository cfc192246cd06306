// The page of the chat. Plain DOM, no framework; whatever comes from the network is put
// into the page as text (textContent), never as HTML.

const element = (id) => document.getElementById(id)
const [status, statusText, entry, joinForm, nameInput, joinProblem, room] = [
  "status", "status-text", "entry", "join", "name", "join-problem", "room"
].map(element)
const [scroller, log, empty, newer, sayForm, textInput, sendButton, sayProblem, peopleList, count] = [
  "scroller", "log", "empty", "newer", "say", "text", "send", "say-problem", "people", "count"
].map(element)

const title = document.title
const mostEntries = 500
// The server speaks every two seconds; silence for much longer means that the network
// is gone, which a browser does not notice by itself.
const silence = 10_000

let wanted = "" // the name that was asked for
let me = "" // the name that was given
let socket
let attempts = 0
let retryTimer
let silenceTimer
let last // what the newest entry of the log was, for grouping
let unread = 0
const seen = new Set() // ids of the messages on the page, so that a reconnect shows none twice

// --- the connection ---------------------------------------------------------------------

function connect() {
  clearTimeout(retryTimer)
  showStatus("connecting", attempts === 0 ? "Connecting…" : "Reconnecting…")
  const url = new URL("chat", location.href)
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:"
  const opened = new WebSocket(url)
  socket = opened
  listen()
  // A socket that was given up may still speak; it is not listened to.
  const current = (handler) => (event) => opened === socket && handler(event)
  opened.addEventListener("open", current(() => send({ _tag: "Join", name: wanted })))
  opened.addEventListener("message", current(({ data }) => {
    listen()
    const message = JSON.parse(data)
    handlers[message._tag]?.(message)
  }))
  opened.addEventListener("close", current(({ code, reason }) => lost(code, reason)))
}

function listen() {
  clearTimeout(silenceTimer)
  silenceTimer = setTimeout(() => {
    socket.close()
    lost(1006, "")
  }, silence)
}

function lost(code, reason) {
  clearTimeout(silenceTimer)
  socket = undefined
  sendButton.disabled = true
  if (code === 1008) return refused(reason)
  // Exponential, with jitter: a server that comes back is not hit by everybody at once.
  const delay = Math.min(10_000, 500 * 2 ** attempts) * (0.5 + Math.random() / 2)
  attempts++
  if (me !== "" && attempts === 1) addNotice("Connection lost")
  showStatus("waiting", code === 1013 && reason !== "" ? reason : "Reconnecting…")
  retryTimer = setTimeout(connect, delay)
}

// Coming back online, or to the page, is a better moment than the end of a long delay.
function retryNow() {
  if (wanted !== "" && socket === undefined && document.visibilityState === "visible") connect()
}

// The server does not want us as we are: back to the form.
function refused(reason) {
  wanted = me = ""
  attempts = 0
  room.hidden = true
  entry.hidden = false
  showStatus("refused", "Not connected")
  joinProblem.textContent = `The server refused: ${reason}`
  nameInput.focus()
}

function send(message) {
  if (socket?.readyState !== WebSocket.OPEN) return false
  socket.send(JSON.stringify(message))
  return true
}

// --- what the server says ---------------------------------------------------------------

const handlers = {
  Welcome({ history, name, people }) {
    if (me !== "") addNotice("Connected again")
    me = name
    attempts = 0
    entry.hidden = true
    room.hidden = false
    sendButton.disabled = false
    showStatus("open", "Connected")
    // Old messages are not news: a screen reader need not read them all aloud.
    log.setAttribute("aria-live", "off")
    history.forEach(addMessage)
    setTimeout(() => log.setAttribute("aria-live", "polite"), 100)
    showPeople(people)
    if (name !== wanted) addNotice(`${wanted} is taken, so you are ${name}`)
    scrollToEnd()
    textInput.focus()
  },
  Said: addMessage,
  Joined: ({ at, name }) => addNotice(`${name} joined`, at),
  Left: ({ at, name }) => addNotice(`${name} left`, at),
  People: ({ people }) => showPeople(people),
  Problem({ text }) {
    sayProblem.textContent = text
  }
}

// --- the log ----------------------------------------------------------------------------

function addMessage({ at, id, name, text }) {
  if (seen.has(id)) return
  seen.add(id)
  const mine = name === me
  const more = last?.name === name && at - last.at < 5 * 60_000
  const message = make("article", `message${mine ? " mine" : ""}${more ? " more" : ""}`)
  const head = make("p", "head")
  const who = make("b", "", mine ? "You" : name)
  who.dir = "auto"
  head.append(who, " ", clock(at))
  const bubble = make("p", "bubble", text)
  bubble.dir = "auto"
  bubble.title = new Date(at).toLocaleString()
  message.append(head, avatar(name), bubble)
  last = { name, at }
  add(message)
  if (!mine && document.hidden) document.title = `(${++unread}) ${title}`
}

function addNotice(text, at) {
  const notice = make("p", "notice", text)
  if (at !== undefined) notice.append(" ", clock(at))
  last = undefined
  add(notice)
}

function add(entry) {
  const atEnd = isAtEnd()
  const mine = entry.classList.contains("mine")
  log.append(entry)
  while (log.childElementCount > mostEntries) log.firstElementChild.remove()
  empty.hidden = log.querySelector(".message") !== null
  // Who reads older messages is not pulled away from them.
  if (atEnd || mine) scrollToEnd()
  else newer.hidden = false
}

const isAtEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 60

function scrollToEnd() {
  scroller.scrollTop = scroller.scrollHeight
  newer.hidden = true
}

// --- who is there -----------------------------------------------------------------------

function showPeople(people) {
  count.textContent = people.length
  const sorted = people.toSorted((a, b) => (b.name === me) - (a.name === me) || a.name.localeCompare(b.name))
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
  if (socket !== undefined) showStatus("open", own === null ? "Connected" : `Connected · ${milliseconds(own)}`)
}

// --- small things -----------------------------------------------------------------------

function make(tag, className = "", text = "") {
  const made = document.createElement(tag)
  if (className !== "") made.className = className
  made.textContent = text
  return made
}

function avatar(name) {
  const made = make("span", "avatar", [...name][0] ?? "?")
  made.ariaHidden = "true"
  let hue = 0
  // Steps of the golden angle keep similar names apart.
  for (const character of name) hue = (hue + character.codePointAt(0)) * 137.5 % 360
  made.style.setProperty("--hue", hue)
  return made
}

function clock(at) {
  const date = new Date(at)
  const made = make("time", "", date.toLocaleTimeString([], { timeStyle: "short" }))
  made.dateTime = date.toISOString()
  return made
}

const milliseconds = (value) => value === null ? "" : value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`

// A screen reader announces the status; a latency that changes is not worth that.
function showStatus(state, text) {
  status.setAttribute("aria-live", state === status.dataset.state ? "off" : "polite")
  status.dataset.state = state
  statusText.textContent = text
}

// --- what the user does -----------------------------------------------------------------

joinForm.addEventListener("submit", (event) => {
  event.preventDefault()
  const name = nameInput.value.trim()
  if (name === "") {
    joinProblem.textContent = "Please enter a name"
    nameInput.focus()
    return
  }
  joinProblem.textContent = ""
  wanted = name
  try {
    localStorage.setItem("name", name)
  } catch {
    // Not remembered, then.
  }
  if (socket === undefined) connect()
})

sayForm.addEventListener("submit", (event) => {
  event.preventDefault()
  const text = textInput.value.trim()
  // While there is no connection, what was typed stays where it is.
  if (text === "" || !send({ _tag: "Say", text })) return
  sayProblem.textContent = ""
  textInput.value = ""
  fitText()
})

textInput.addEventListener("keydown", (event) => {
  // Enter also ends the composition of, say, a Japanese word; that one is not ours.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return
  event.preventDefault()
  sayForm.requestSubmit()
})

function fitText() {
  textInput.style.height = "auto"
  textInput.style.height = `${textInput.scrollHeight + 2}px`
}

textInput.addEventListener("input", fitText)
newer.addEventListener("click", scrollToEnd)
scroller.addEventListener("scroll", () => {
  if (isAtEnd()) newer.hidden = true
})
addEventListener("resize", () => {
  if (newer.hidden) scrollToEnd()
})
addEventListener("online", retryNow)
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return
  unread = 0
  document.title = title
  retryNow()
})

try {
  nameInput.value = localStorage.getItem("name") ?? ""
} catch {
  // Nothing was remembered.
}
nameInput.focus()
