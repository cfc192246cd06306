/** Which board: its name is the address's fragment, and those that were open are remembered. */
import { Schema } from "effect"
import { BoardId } from "../Board.ts"
import { element, make } from "../../page/dom.ts"

const isId = Schema.is(BoardId)
const first = "welcome"
const mostRemembered = 8

const dialog = element<HTMLDialogElement>("boards")
const form = element<HTMLFormElement>("open")
const field = element<HTMLInputElement>("board")
const problem = element("board-problem")
const list = element("recent")
const which = element("which")

/** The board that the address names. */
export const current = (): string => {
  const id = location.hash.slice(1)
  return isId(id) ? id : first
}

const recent = (): Array<string> => {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem("boards") ?? "[]")
    return Array.isArray(kept) ? kept.filter(isId) : []
  } catch {
    return []
  }
}

/** Shows the board's name, and remembers it. */
export const show = (id: string): void => {
  element("which-name").textContent = id
  document.title = `${id} · effect-ws board`
  try {
    const all = [id, ...recent().filter((one) => one !== id)].slice(0, mostRemembered)
    localStorage.setItem("boards", JSON.stringify(all))
  } catch {
    // Not remembered, then.
  }
}

const open = (id: string): void => {
  dialog.close()
  location.hash = id
}

which.addEventListener("click", () => {
  problem.textContent = ""
  field.value = ""
  const all = [...new Set([current(), ...recent(), first])]
  list.replaceChildren(...all.map((id) => {
    const item = make("li")
    const button = make("button", "", id) as HTMLButtonElement
    button.type = "button"
    button.ariaCurrent = String(id === current())
    button.addEventListener("click", () => open(id))
    item.append(button)
    return item
  }))
  dialog.showModal()
  field.focus()
})
element("cancel").addEventListener("click", () => dialog.close())
form.addEventListener("submit", (event) => {
  event.preventDefault()
  const id = field.value.trim().toLowerCase().replaceAll(/\s+/g, "-")
  if (isId(id)) open(id)
  else problem.textContent = "Letters a to z, digits and hyphens, at most 40"
})
