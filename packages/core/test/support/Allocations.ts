import { portable, type Primitives } from "../../src/Primitives.ts"

/** Primitives that count the bytes that they allocate. */
export const countAllocations = () => {
  let bytes = 0
  const primitives: Primitives = {
    ...portable,
    allocate: (size) => {
      bytes += size
      return portable.allocate(size)
    }
  }
  return { primitives, allocated: () => bytes }
}
