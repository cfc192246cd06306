/**
 * Topics above connections: publications that nobody misses without being told, signals, presence, and several servers.
 *
 * @since 0.1.0
 */
export * as Broker from "./Broker.ts"
export * as RedisBroker from "./RedisBroker.ts"
export * as Topic from "./Topic.ts"
export * as TopicClient from "./TopicClient.ts"
export * as TopicEvent from "./TopicEvent.ts"
export * as Topics from "./Topics.ts"
