/** Our broker over TCP, through the layer that streamers and collectors use. */
import { Deferred, Effect, Runtime } from "effect"
import { openSession, openSubscription, receive, withBroker } from "../tcp/Peers.ts"
import type { Client, Publisher } from "./Contender.ts"

export const ours: Client = {
  publisher: ({ port, payload }) =>
    new Promise<Publisher>((resolve, reject) => {
      const bytes = Buffer.from(payload)
      withBroker(
        port,
        Effect.gen(function* () {
          const publish = yield* openSession
          const run = Runtime.runPromise(yield* Effect.runtime<never>())
          const closed = yield* Deferred.make<void>()
          resolve({
            publish: (count) => run(publish(Array<Uint8Array>(count).fill(bytes))),
            close: () => run(Deferred.succeed(closed, undefined))
          })
          yield* Deferred.await(closed)
        })
      ).catch(reject)
    }),
  consume: ({ port, consumers, messages }) =>
    withBroker(
      port,
      Effect.forEach(
        Array(consumers),
        (_, index) =>
          Effect.scoped(
            Effect.flatMap(openSubscription(index), (subscription) => receive(subscription, messages))
          ),
        { concurrency: "unbounded", discard: true }
      )
    )
}
