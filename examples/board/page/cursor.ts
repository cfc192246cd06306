import { make } from "../../page/dom.ts"

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
