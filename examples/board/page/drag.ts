/** Dragging by mouse, pen or finger. */

export interface Drag {
  readonly position: () => { readonly x: number; readonly y: number }
  readonly moving: (x: number, y: number) => void
  readonly moved: (x: number, y: number) => void
}

// A hand is not still: less than this is a click.
const leastDistance = 4

export const drag = (element: HTMLElement, { moved, moving, position }: Drag): void => {
  let start: { readonly pointer: number; readonly x: number; readonly y: number } | undefined
  let isDragged = false

  const at = (event: PointerEvent) => {
    const from = position()
    return [from.x + event.clientX - start!.x, from.y + event.clientY - start!.y] as const
  }
  const end = () => {
    start = undefined
    isDragged = false
    element.classList.remove("dragged")
  }

  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target instanceof HTMLTextAreaElement) return
    start = { pointer: event.pointerId, x: event.clientX, y: event.clientY }
    element.setPointerCapture(event.pointerId)
  })
  element.addEventListener("pointermove", (event) => {
    if (start?.pointer !== event.pointerId) return
    if (!isDragged && Math.hypot(event.clientX - start.x, event.clientY - start.y) < leastDistance) return
    isDragged = true
    element.classList.add("dragged")
    moving(...at(event))
  })
  element.addEventListener("pointerup", (event) => {
    if (start?.pointer !== event.pointerId) return
    const wasDragged = isDragged
    const to = at(event)
    end()
    if (wasDragged) moved(...to)
  })
  element.addEventListener("pointercancel", () => {
    const from = position()
    end()
    moving(from.x, from.y)
  })
}
