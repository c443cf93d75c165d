/** A broker that is measured beside others: how its server is started, and what its client can be told to do. */
import type { Storage } from "../tcp/Served.ts"

// What others offer is called by the nearest of our names.
export type { Storage }

export type ContenderName = "ours" | "nats" | "redis"

/** A server in a process of its own. */
export interface RunningServer {
  readonly port: number
  readonly pid: number
  readonly stop: () => Promise<void>
}

/** Where and what a client is to do; each client task connects afresh. */
export interface ClientTask {
  readonly port: number
  readonly storage: Storage
  readonly payload: string
}

export interface PublishTask extends ClientTask {
  /** Messages without an acknowledgement at a time. */
  readonly inFlight: number
  /** Messages of one call, or of one pipeline. */
  readonly together: number
  /** It ends after this time, when all is acknowledged. */
  readonly ms: number
  readonly countMax: number
}

export interface ConsumeTask extends ClientTask {
  /** Each of them reads all messages. */
  readonly consumers: number
  readonly messages: number
}

/** Messages, and how long they took. */
export interface Done {
  readonly messages: number
  readonly ms: number
}

/** What a contender's client does, each time from a connection of its own. */
export interface Client {
  /** Connects, and answers how so many messages are published together, acknowledged when it returns. */
  readonly publisher: (task: PublishTask) => Promise<Publisher>
  readonly consume: (task: ConsumeTask) => Promise<void>
}

export interface Publisher {
  readonly publish: (count: number) => Promise<unknown>
  readonly close: () => Promise<unknown>
}

/** Publishes for a while, always as many in flight as may be. */
export const publishFor = async (client: Client, task: PublishTask): Promise<Done> => {
  const { publish, close } = await client.publisher(task)
  const { inFlight, together, ms, countMax } = task
  const startMs = performance.now()
  let messages = 0
  const keepPublishing = async () => {
    while (performance.now() - startMs < ms && messages < countMax) {
      messages += together
      await publish(together)
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, Math.floor(inFlight / together)) }, keepPublishing))
  const done = { messages, ms: performance.now() - startMs }
  await close()
  return done
}

export const consumeAll = async (client: Client, task: ConsumeTask): Promise<Done> => {
  const startMs = performance.now()
  await client.consume(task)
  return { messages: task.consumers * task.messages, ms: performance.now() - startMs }
}
