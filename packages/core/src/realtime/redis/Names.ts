/** How topics are spread over shards, and how texts are written where a line break separates them. */

/** The inside of a JSON string: without line breaks, and without surrogates that stand alone, which UTF-8 cannot carry. */
export const written = (text: string): string => JSON.stringify(text).slice(1, -1)

/** What {@link written} wrote. It throws at anything else. */
export const unwritten = (text: string): string => text.includes("\\") ? JSON.parse(`"${text}"`) as string : text

/** The shard of a topic: 32-bit FNV-1a of its UTF-16 code units. All processes of all versions agree on it. */
export const shardOf = (topic: string, shards: number): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < topic.length; i++) {
    const unit = topic.charCodeAt(i)
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193)
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193)
  }
  return (hash >>> 0) % shards
}

/** The count in the name of an epoch, `COUNT.NAME`: a later epoch of a shard has a higher one. */
export const eraOf = (epoch: string): number => {
  const dot = epoch.indexOf(".")
  const era = dot > 0 ? Number(epoch.slice(0, dot)) : 0
  return Number.isSafeInteger(era) && era > 0 ? era : 0
}
