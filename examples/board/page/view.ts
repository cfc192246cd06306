/**
 * What the page shows, and what people do to it. Plain DOM, no framework; whatever comes from the network is put into the
 * page as text (textContent), never as HTML.
 */
import { capacity, type Color, colors, height, type Note, type Notes, width } from "../Board.ts"
import { avatar, element, make, tint } from "../../page/dom.ts"
import { cursorOf } from "./cursor.ts"
import { drag } from "./drag.ts"

/** What somebody did. */
export interface Actions {
  readonly add: (x: number, y: number) => string
  readonly move: (id: string, x: number, y: number) => void
  readonly write: (id: string, text: string) => void
  readonly paint: (id: string, color: Color) => void
  readonly remove: (id: string) => void
  readonly point: (x: number, y: number) => void
}

const status = element("status")
const statusText = element("status-text")
const entry = element("entry")
const room = element("room")
const viewport = element("viewport")
const surface = element("surface")
const empty = element("empty")
const problem = element("problem")
const elsewhere = element("elsewhere")
const tools = element("tools")
const swatches = element("swatches")
const people = element("people")

export const joinForm = element<HTMLFormElement>("join")
export const nameInput = element<HTMLInputElement>("name")
export const joinProblem = element("join-problem")

const noteWidth = 190
const noteHeight = 120

let actions: Actions | undefined
let chosen: string | undefined
let isFirst = true
const notes = new Map<string, { readonly element: HTMLElement; note: Note; order: number }>()
const cursors = new Map<string, { readonly element: HTMLElement; timer: ReturnType<typeof setTimeout> }>()

// --- entry and room ---------------------------------------------------------------------

export const showRoom = (to: Actions): void => {
  actions = to
  entry.hidden = true
  room.hidden = false
  for (const { element } of notes.values()) element.remove()
  for (const id of cursors.keys()) hideCursor(id)
  notes.clear()
  isFirst = true
  choose(undefined)
  showProblem("")
  viewport.focus()
}

/** Back to the form, with what went wrong. */
export const showEntry = (text: string): void => {
  room.hidden = true
  entry.hidden = false
  joinProblem.textContent = text
  nameInput.focus()
}

// A screen reader announces the status; that one more change is kept is not worth that.
export const showStatus = (state: "connecting" | "open" | "waiting" | "refused", text: string): void => {
  status.setAttribute("aria-live", state === status.dataset["state"] ? "off" : "polite")
  status.dataset["state"] = state
  statusText.textContent = text
  status.title = text
}

export const showProblem = (text: string): void => {
  problem.textContent = text
}

// --- notes ------------------------------------------------------------------------------

/** Shows these notes, those in `kept` as not yet confirmed. */
export const showNotes = (shown: Notes, kept: ReadonlySet<string>): void => {
  empty.hidden = shown.length > 0
  const ids = new Set(shown.map(({ id }) => id))
  for (const [id, { element }] of notes) {
    if (ids.has(id)) continue
    if (id === chosen) choose(undefined)
    element.remove()
    notes.delete(id)
  }
  shown.forEach((note, order) => showNote(note, order, kept.has(note.id)))
  showTools()
  if (isFirst && shown.length > 0) {
    isFirst = false
    if (!isAnySeen()) goToNotes("instant")
  }
  showElsewhere()
}

const isSeen = ({ x, y }: Note): boolean =>
  x + noteWidth > viewport.scrollLeft && x < viewport.scrollLeft + viewport.clientWidth &&
  y + noteHeight > viewport.scrollTop && y < viewport.scrollTop + viewport.clientHeight

const isAnySeen = (): boolean => Array.from(notes.values()).some(({ note }) => isSeen(note))

/** A screen is smaller than a board. */
const showElsewhere = (): void => {
  elsewhere.hidden = notes.size === 0 || isAnySeen()
}

/** To the note that is nearest to what is seen. */
const goToNotes = (behavior: ScrollBehavior): void => {
  const x = viewport.scrollLeft + viewport.clientWidth / 2
  const y = viewport.scrollTop + viewport.clientHeight / 2
  const [nearest] = Array.from(notes.values(), ({ note }) => note).toSorted((a, b) =>
    Math.hypot(a.x - x, a.y - y) - Math.hypot(b.x - x, b.y - y)
  )
  if (nearest === undefined) return
  viewport.scrollTo({
    left: nearest.x + noteWidth / 2 - viewport.clientWidth / 2,
    top: nearest.y + noteHeight / 2 - viewport.clientHeight / 2,
    behavior
  })
}

elsewhere.addEventListener("click", () => goToNotes("smooth"))
viewport.addEventListener("scroll", showElsewhere)
addEventListener("resize", showElsewhere)

const showNote = (note: Note, order: number, isKept: boolean): void => {
  let known = notes.get(note.id)
  if (known === undefined) notes.set(note.id, known = { element: makeNote(note.id), note, order })
  known.note = note
  known.order = order
  const { element } = known
  // The order on screen, not that of the elements: an element that moves in the document loses its focus.
  element.style.zIndex = String(order + 1)
  if (element.parentElement === null) surface.append(element)
  if (!element.classList.contains("dragged")) place(element, note.x, note.y)
  element.dataset["color"] = note.color
  element.classList.toggle("kept", isKept)
  const text = element.querySelector(".text")
  if (text !== null) {
    text.textContent = note.text === "" ? "Empty note" : note.text
    text.classList.toggle("placeholder", note.text === "")
  }
  element.setAttribute("aria-label", `${note.color} note: ${note.text === "" ? "empty" : note.text}`)
}

const place = (element: HTMLElement, x: number, y: number): void => {
  element.style.translate = `${x}px ${y}px`
}

const makeNote = (id: string): HTMLElement => {
  const made = make("article", "note")
  made.tabIndex = 0
  made.dir = "auto"
  made.dataset["id"] = id
  made.append(make("div", "text"))
  made.addEventListener("focus", () => choose(id))
  made.addEventListener("dblclick", () => edit(id))
  made.addEventListener("keydown", (event) => onKey(id, event))
  drag(made, {
    position: () => notes.get(id)?.note ?? { x: 0, y: 0 },
    moving: (x, y) => place(made, ...within(x, y)),
    moved: (x, y) => moveTo(id, x, y)
  })
  return made
}

const within = (x: number, y: number): [x: number, y: number] => [
  Math.round(Math.min(Math.max(x, 0), width - noteWidth)),
  Math.round(Math.min(Math.max(y, 0), height - noteHeight))
]

const moveTo = (id: string, x: number, y: number): void => actions?.move(id, ...within(x, y))

const steps: Readonly<Record<string, readonly [x: number, y: number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1]
}

const onKey = (id: string, event: KeyboardEvent): void => {
  const known = notes.get(id)
  if (event.target !== known?.element || event.ctrlKey || event.metaKey || event.altKey) return
  const step = steps[event.key]
  if (step !== undefined) {
    const distance = event.shiftKey ? 96 : 24
    moveTo(id, known.note.x + step[0] * distance, known.note.y + step[1] * distance)
    known.element.scrollIntoView({ block: "nearest", inline: "nearest" })
  } else if (event.key === "Enter") edit(id)
  else if (event.key === "Delete" || event.key === "Backspace") removeNote(id)
  else if (event.key === "c") actions?.paint(id, colors[(colors.indexOf(known.note.color) + 1) % colors.length]!)
  else return
  event.preventDefault()
}

const removeNote = (id: string): void => {
  // The next one has the focus then, not the top of the page.
  const all = [...surface.querySelectorAll<HTMLElement>(".note")]
  const at = all.findIndex((element) => element.dataset["id"] === id)
  const next = all[at + 1] ?? all[at - 1]
  actions?.remove(id)
  if (next === undefined) viewport.focus()
  else next.focus()
}

/** Puts a field into the note. Leaving it keeps what was written, Escape does not. */
const edit = (id: string): void => {
  const known = notes.get(id)
  if (known === undefined || known.element.querySelector("textarea") !== null) return
  const { element, note } = known
  const field = document.createElement("textarea")
  field.value = note.text
  field.maxLength = 400
  field.setAttribute("aria-label", "The note's text")
  let isOver = false
  const end = (isKept: boolean) => {
    if (isOver) return
    isOver = true
    field.replaceWith(make("div", "text"))
    const text = field.value.trim()
    const now = notes.get(id)?.note
    if (now === undefined) return
    showNote(now, known.order, element.classList.contains("kept"))
    if (isKept && text !== now.text) actions?.write(id, text)
  }
  field.addEventListener("keydown", (event) => {
    event.stopPropagation()
    if (event.isComposing || (event.key !== "Escape" && !(event.key === "Enter" && !event.shiftKey))) return
    event.preventDefault()
    end(event.key === "Enter")
    element.focus()
  })
  field.addEventListener("blur", () => end(true))
  element.querySelector(".text")?.replaceWith(field)
  choose(id)
  field.focus()
}

// --- the chosen note --------------------------------------------------------------------

const choose = (id: string | undefined): void => {
  if (chosen !== undefined) notes.get(chosen)?.element.classList.remove("chosen")
  chosen = id
  if (id !== undefined) notes.get(id)?.element.classList.add("chosen")
  showTools()
}

const showTools = (): void => {
  const note = chosen === undefined ? undefined : notes.get(chosen)?.note
  tools.hidden = note === undefined
  for (const swatch of swatches.children) swatch.ariaPressed = String((swatch as HTMLElement).dataset["color"] === note?.color)
}

for (const color of colors) {
  const swatch = make("button", `swatch ${color}`) as HTMLButtonElement
  swatch.type = "button"
  swatch.dataset["color"] = color
  swatch.ariaLabel = color
  swatch.addEventListener("click", () => chosen !== undefined && actions?.paint(chosen, color))
  swatches.append(swatch)
}

element("write").addEventListener("click", () => chosen !== undefined && edit(chosen))
element("remove").addEventListener("click", () => chosen !== undefined && removeNote(chosen))

const add = (): void => {
  if (actions === undefined) return
  if (notes.size >= capacity) return showProblem(`A board has at most ${capacity} notes`)
  showProblem("")
  // In the middle of what is seen, a little elsewhere each time.
  const off = (notes.size % 6) * 22 - 55
  const x = viewport.scrollLeft + viewport.clientWidth / 2 - noteWidth / 2 + off
  const y = viewport.scrollTop + viewport.clientHeight / 2 - noteHeight / 2 + off
  edit(actions.add(...within(x, y)))
}

element("add").addEventListener("click", add)
document.addEventListener("keydown", (event) => {
  const { target } = event
  const isTyping = target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement
  if (room.hidden || isTyping || event.key !== "n" || event.ctrlKey || event.metaKey || event.altKey) return
  if (document.querySelector("dialog[open]") !== null) return
  event.preventDefault()
  add()
})
surface.addEventListener("pointerdown", (event) => {
  if (event.target === surface) choose(undefined)
})

// --- people -----------------------------------------------------------------------------

const mostAvatars = 6

export const showPeople = (names: ReadonlyArray<string>, count: number): void => {
  const shown = names.slice(0, mostAvatars)
  const items = shown.map((name) => {
    const item = make("li")
    item.title = name
    const label = make("span", "visually-hidden", name)
    item.append(avatar(name), label)
    return item
  })
  if (count > shown.length) {
    const more = make("span", "avatar more", `+${count - shown.length}`)
    const item = make("li")
    item.append(more)
    items.push(item)
  }
  people.replaceChildren(...items)
}

/** Somebody points there. A pointer that rests is hidden after some seconds. */
export const showCursor = (from: string, name: string, x: number, y: number): void => {
  let known = cursors.get(from)
  if (known === undefined) {
    const made = cursorOf(name)
    surface.append(made)
    known = { element: made, timer: setTimeout(() => hideCursor(from), 0) }
    cursors.set(from, known)
  }
  clearTimeout(known.timer)
  known.timer = setTimeout(() => hideCursor(from), 4000)
  known.element.querySelector("span")!.textContent = name
  tint(known.element, name)
  place(known.element, x, y)
}

const hideCursor = (from: string): void => {
  const known = cursors.get(from)
  if (known === undefined) return
  clearTimeout(known.timer)
  known.element.remove()
  cursors.delete(from)
}

surface.addEventListener("pointermove", (event) => {
  const { left, top } = surface.getBoundingClientRect()
  const x = Math.round(event.clientX - left)
  const y = Math.round(event.clientY - top)
  if (x >= 0 && x <= width && y >= 0 && y <= height) actions?.point(x, y)
})
