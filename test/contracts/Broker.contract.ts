/**
 * What every broker does, whatever it stands on: in this process, or behind a connection.
 *
 * Run it against layers that give a fresh, empty broker each time they are built. Nothing here knows how it is made; a
 * test may ask for a broker that is set otherwise.
 */
import { describe, it } from "@effect/vitest"
import { Effect, type Layer, type Scope } from "effect"
import type { Broker } from "../../src/layers/Broker.ts"
import type { BrokerConfig } from "../../src/layers/broker/embedded.ts"
import * as Scheduler from "../../src/layers/Scheduler.ts"
import { acks } from "./Broker.acks.ts"
import { fullLog } from "./Broker.full-log.ts"
import { producers } from "./Broker.producers.ts"
import { rewind } from "./Broker.rewind.ts"
import { subscribers } from "./Broker.subscribers.ts"

/** Names a guarantee and checks it against a fresh broker. */
export type Test = (
  guarantee: string,
  body: Effect.Effect<void, unknown, Broker | Scope.Scope>,
  options?: BrokerOptions
) => void

/** What a test asks of its broker; the rest is as it usually is. */
export type BrokerOptions = Partial<BrokerConfig["Type"]>

const roomy: BrokerOptions = { retentionBytes: 64 * 1024 * 1024 }

/** The suite of the service. */
export const brokerContract = <E>(
  name: string,
  makeLayer: (options: BrokerOptions) => Layer.Layer<Broker, E>
): void => {
  // Live, because a broker may stand on a network with deadlines of its own.
  const test: Test = (guarantee, body, options = {}) =>
    it.scopedLive(guarantee, () =>
      Effect.provide(Effect.provide(body, makeLayer({ ...roomy, ...options })), Scheduler.layer)
    )

  describe(`Broker on ${name}`, () => {
    describe("producers", () => producers(test))
    describe("subscribers", () => subscribers(test))
    describe("acks and nacks", () => acks(test))
    describe("a full log", () => fullLog(test))
    describe("operators", () => rewind(test))
  })
}
