/** Small things of the pages. */

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
