/**
 * One publisher and one subscriber of a broker over TCP, in one process, so that one clock tells how long a message takes:
 * of a stranger, or of our own peers.
 */
import { Effect, Fiber, Runtime } from "effect"
import { countFrames, open, payloadOf, publishFrame, subscribeFrame } from "./Client.ts"
import { openSession, openSubscription, receive, withBroker } from "./Peers.ts"

export interface Flow {
  /** Publishes so many messages, together. */
  readonly publish: (count: number) => void
  /** Is told how many were delivered each time; they come in the order in which they were published. */
  onDelivered: (count: number) => void
}

export interface FlowOptions {
  readonly by: "stranger" | "own peers"
  readonly port: number
  readonly size: number
}

const asStranger = async <A>({ port, size }: FlowOptions, use: (flow: Flow) => Promise<A>): Promise<A> => {
  const [publisher, subscriber] = [await open(port), await open(port)]
  const frame = publishFrame(size)
  let isSubscribed = false
  const flow: Flow = {
    publish: (count) => {
      publisher.cork()
      for (let index = 0; index < count; index++) publisher.write(frame)
      publisher.uncork()
    },
    onDelivered: () => {}
  }
  publisher.resume()
  await new Promise<void>((resolve) => {
    countFrames(subscriber, (frames) => {
      if (isSubscribed) flow.onDelivered(frames)
      isSubscribed = true
      resolve()
    })
    subscriber.write(subscribeFrame(0))
  })
  const result = await use(flow)
  publisher.destroy()
  subscriber.destroy()
  return result
}

const asPeers = <A>({ port, size }: FlowOptions, use: (flow: Flow) => Promise<A>): Promise<A> =>
  withBroker(
    port,
    Effect.gen(function* () {
      const publish = yield* openSession
      const subscription = yield* openSubscription(0)
      const payload = Buffer.from(payloadOf(size))
      const run = Runtime.runFork(yield* Effect.runtime<never>())
      const flow: Flow = {
        publish: (count) => run(publish(Array<Uint8Array>(count).fill(payload))),
        onDelivered: () => {}
      }
      const reading = yield* Effect.fork(
        receive(subscription, Number.POSITIVE_INFINITY, (count) => flow.onDelivered(count))
      )
      const result = yield* Effect.promise(() => use(flow))
      yield* Fiber.interrupt(reading)
      return result
    })
  )

/** Runs it with a flow on a broker that holds nothing yet. */
export const withFlow = <A>(options: FlowOptions, use: (flow: Flow) => Promise<A>): Promise<A> =>
  options.by === "stranger" ? asStranger(options, use) : asPeers(options, use)
