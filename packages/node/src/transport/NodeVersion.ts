/**
 * Fails clearly on a Node that is too old. Imported first by modules that import `@effect/platform-node`: on an older
 * Node that fails with an error that says nothing, and npm chooses an older one of it, which lacks what is used here.
 */

const least = [22, 19] as const

/** What to tell a user of this Node, if it is too old. Bun and Deno say which Node they are like; that is not judged. */
export const complaintAbout = (versions: Readonly<Record<string, string | undefined>>): string | undefined => {
  if (versions["bun"] !== undefined || versions["deno"] !== undefined) return undefined
  const [major = 0, minor = 0] = (versions["node"] ?? "").split(".").map(Number)
  if (major > least[0] || (major === least[0] && minor >= least[1])) return undefined
  return `@effect-ws/node needs Node ${least.join(".")} or later, and this is Node ${versions["node"]}. ` +
    "After an update of Node install @effect/platform-node@4.1 and effect@4.1 again: npm may have chosen older ones."
}

const complaint = complaintAbout(process.versions)
if (complaint !== undefined) throw new Error(complaint)
