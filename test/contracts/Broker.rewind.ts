/** The part of the Broker contract about operators: setting a subscriber's checkpoint. */
import { expect } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { Broker, BrokerUnavailable, SetCheckpointRefused } from "../../src/layers/Broker.ts"
import { offsetOf, type StartFrom, SubscriberId } from "../../src/protocol/Log.ts"
import type { Test } from "./Broker.contract.ts"
import { commit, messages, publish, receiveUntil, subscribe } from "./Broker.messages.ts"

const set = (name: string, to: StartFrom | { readonly atMs: number }) =>
  Effect.flatMap(Broker, (broker) => broker.setCheckpoint(SubscriberId.make(name), to))

/** Reads everything there is as a subscriber with a checkpoint, and goes. */
const readAll = (name: string, end: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const subscription = yield* subscribe(name, { resume: "always" })
      const received = yield* receiveUntil(subscription, end)
      yield* commit(subscription, end)
      return received
    })
  )

export const rewind = (test: Test): void => {
  test(
    "a checkpoint that is set back, or forwards, is where its subscriber goes on",
    Effect.gen(function* () {
      yield* publish("a", "b", "c", "d")
      yield* readAll("reader", 4)
      expect(yield* set("reader", offsetOf(1))).toBe(1)
      expect(yield* readAll("reader", 4)).toEqual(messages(1, "b", "c", "d"))
      expect(yield* set("reader", "earliest")).toBe(0)
      expect(yield* set("reader", "latest")).toBe(4)
      yield* publish("e")
      expect(yield* readAll("reader", 5)).toEqual(messages(4, "e"))
    })
  )

  test(
    "a checkpoint is set to the nearest place that the log has, and to what came at a time or after it",
    Effect.gen(function* () {
      yield* publish("a")
      yield* readAll("reader", 1)
      expect(yield* set("reader", offsetOf(1_000))).toBe(1)
      const nowMs = yield* Clock.currentTimeMillis
      expect(yield* set("reader", { atMs: nowMs - 3_600_000 })).toBe(0)
      expect(yield* set("reader", { atMs: nowMs + 3_600_000 })).toBe(1)
    })
  )

  test(
    "a subscription whose checkpoint is set ends, and its subscriber resumes there",
    Effect.gen(function* () {
      yield* publish("a", "b", "c")
      const subscription = yield* subscribe("reader", { resume: "always" })
      yield* receiveUntil(subscription, 3)
      yield* commit(subscription, 3)
      expect(yield* set("reader", offsetOf(1))).toBe(1)
      expect(yield* Effect.flip(commit(subscription, 3))).toBeInstanceOf(BrokerUnavailable)
      expect(yield* Effect.flip(Effect.forever(subscription.deliveries))).toBeInstanceOf(BrokerUnavailable)
      expect(yield* readAll("reader", 3)).toEqual(messages(1, "b", "c"))
    })
  )

  test(
    "a subscriber that has no checkpoint can't be sent anywhere",
    Effect.gen(function* () {
      yield* publish("a")
      yield* subscribe("guest")
      for (const name of ["guest", "nobody"]) {
        expect(yield* Effect.flip(set(name, "earliest"))).toBeInstanceOf(SetCheckpointRefused)
      }
    })
  )
}
