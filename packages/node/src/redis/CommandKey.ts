/** Which node of a Redis Cluster a command goes to. */

/** Commands that concern no key, or all. */
const keyless = new Set([
  "ACL", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DBSIZE", "DEBUG", "ECHO", "FLUSHALL", "FLUSHDB", "INFO", "KEYS", "LATENCY", "PING", "PUBLISH",
  "PUBSUB", "RANDOMKEY", "ROLE", "SCAN", "SCRIPT", "SLOWLOG", "TIME", "WAIT"
])

/** The key by which a command is routed, if it has one. */
export const keyOf = (command: string, args: ReadonlyArray<string>): string | undefined => {
  const name = command.toUpperCase()
  if (name === "EVAL" || name === "EVALSHA" || name === "FCALL") return Number(args[1]) > 0 ? args[2] : undefined
  return keyless.has(name) ? undefined : args[0]
}
