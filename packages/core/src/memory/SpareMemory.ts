/**
 * Memory that was used and is kept for what needs as much again, for the whole process and up to {@link maxSpare}. What nobody
 * has needed for some seconds is freed, so a process that rests keeps none.
 */
import { Alarm, type Deadlines } from "../runtime/Deadlines.ts"

/** The most bytes that are kept. Without this memory V8 lets twice as many bytes of dead messages pile up. */
export const maxSpare = 32 * 1024 * 1024

/** What was not needed for this long is freed. */
export const restMillis = 5000

/** Memory that is lent to at most one array at a time; see `LentMemory`. */
export class Block {
  readonly memory: ArrayBuffer
  /** The array that it is lent to. */
  borrower: Uint8Array | undefined

  constructor(memory: ArrayBuffer, borrower: Uint8Array) {
    this.memory = memory
    this.borrower = borrower
  }
}

/** Blocks of one size: a stack, so that what the processor's caches still hold is used first. */
interface Stack {
  readonly blocks: Array<Block>
  /** The fewest that it had since the last look: so many were not needed. */
  fewest: number
}

// By size, in the order in which they were last asked for.
const stacks = new Map<number, Stack>()
let latest = 0
let bytes = 0

// By each Clock whose connections have put something; a program has one.
const watched = new WeakSet<Deadlines>()
let lastWatched: Deadlines | undefined

/** Bytes that are kept. */
export const spareBytes = (): number => bytes

/** A block of this size, if one is kept. */
export const take = (size: number): Block | undefined => {
  const stack = stacks.get(size)
  if (stack === undefined) return undefined
  if (latest !== size) {
    latest = size
    stacks.delete(size)
    stacks.set(size, stack)
  }
  const block = stack.blocks.pop()
  if (block === undefined) return undefined
  bytes -= size
  if (stack.blocks.length < stack.fewest) stack.fewest = stack.blocks.length
  return block
}

/** An `ArrayBuffer`, which has more since ES2024. */
interface Freeable {
  readonly byteLength: number
  readonly transfer?: (size: number) => unknown
}

/** Frees a block that nobody uses. The collector would, where it can not be done here, but it does not come to a process that rests. */
const free = (block: Block): void => {
  const memory: Freeable = block.memory
  bytes -= memory.byteLength
  memory.transfer?.(0)
}

/** Lets go of what has not been asked for the longest. */
const makeRoom = (size: number): void => {
  for (const [other, { blocks }] of stacks) {
    while (blocks.length > 0) {
      if (bytes + size <= maxSpare) return
      free(blocks.pop()!)
    }
    stacks.delete(other)
  }
}

/** Keeps a block that nothing reads or writes any more. */
export const put = (block: Block): void => {
  const size = block.memory.byteLength
  if (bytes + size > maxSpare) makeRoom(size)
  bytes += size
  const stack = stacks.get(size)
  if (stack === undefined) stacks.set(size, { blocks: [block], fewest: 0 })
  else stack.blocks.push(block)
}

/** Frees all that was not needed since the last time. */
export const freeUnused = (): void => {
  for (const [size, stack] of stacks) {
    for (const block of stack.blocks.splice(0, stack.fewest)) free(block)
    stack.fewest = stack.blocks.length
    if (stack.fewest === 0) stacks.delete(size)
  }
}

class Rest extends Alarm {
  private readonly deadlines: Deadlines

  constructor(deadlines: Deadlines) {
    super()
    this.deadlines = deadlines
  }

  override get isBackground(): boolean {
    return true
  }

  override onAlarm(now: number): void {
    freeUnused()
    if (bytes > 0) return this.deadlines.set(this, now + restMillis)
    watched.delete(this.deadlines)
    lastWatched = undefined
  }
}

/** Sees to it that spare memory is freed in time. Cheap: call it whenever some may have been put. */
export const watch = (deadlines: Deadlines): void => {
  if (bytes === 0 || lastWatched === deadlines) return
  lastWatched = deadlines
  if (watched.has(deadlines)) return
  watched.add(deadlines)
  deadlines.set(new Rest(deadlines), deadlines.now() + restMillis)
}
