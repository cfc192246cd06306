/** Small things of the page. */

export const element = <E extends HTMLElement = HTMLElement>(id: string): E => {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`The page has no #${id}`)
  // The page has it as the type that its tag says.
  return found as E
}

export const make = (tag: string, className = "", text = ""): HTMLElement => {
  const made = document.createElement(tag)
  if (className !== "") made.className = className
  if (text !== "") made.textContent = text
  return made
}

/** Gives an element the colour of a name. */
export const tint = (made: HTMLElement, name: string): void => {
  let hue = 0
  // Steps of the golden angle keep similar names apart.
  for (const character of name) hue = (hue + (character.codePointAt(0) ?? 0)) * 137.5 % 360
  made.style.setProperty("--hue", String(hue))
}

export const avatar = (name: string): HTMLElement => {
  const made = make("span", "avatar", [...name][0] ?? "?")
  made.ariaHidden = "true"
  tint(made, name)
  return made
}

const svg = "http://www.w3.org/2000/svg"

/** The pointer of somebody else. */
export const cursorOf = (name: string): HTMLElement => {
  const made = make("div", "cursor")
  made.ariaHidden = "true"
  const arrow = document.createElementNS(svg, "svg")
  arrow.setAttribute("viewBox", "0 0 20 20")
  const path = document.createElementNS(svg, "path")
  path.setAttribute("d", "M2 2 17 8.5 10.5 10.5 8.5 17z")
  arrow.append(path)
  const label = make("span", "", name)
  label.dir = "auto"
  made.append(arrow, label)
  return made
}
