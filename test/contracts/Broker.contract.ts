/**
 * What every broker does, whatever it stands on: in this process, or behind a connection.
 *
 * Run it against layers that give a fresh, empty broker each time they are built. Nothing here knows how it is made; what
 * the log holds at most is the one setting that a test asks for.
 */
import { describe, it } from "@effect/vitest"
import { Effect, type Layer, type Scope } from "effect"
import type { Broker } from "../../src/layers/Broker.ts"
import * as Scheduler from "../../src/layers/Scheduler.ts"
import { fullLog } from "./Broker.full-log.ts"
import { producers } from "./Broker.producers.ts"
import { subscribers } from "./Broker.subscribers.ts"

/** Names a guarantee and checks it against a fresh broker. */
export type Test = (
  guarantee: string,
  body: Effect.Effect<void, unknown, Broker | Scope.Scope>,
  options?: BrokerOptions
) => void

export interface BrokerOptions {
  /** The most that the log holds. */
  readonly retentionBytes: number
}

const roomy: BrokerOptions = { retentionBytes: 64 * 1024 * 1024 }

/** The suite of the service. */
export const brokerContract = <E>(
  name: string,
  makeLayer: (options: BrokerOptions) => Layer.Layer<Broker, E>
): void => {
  // Live, because a broker may stand on a network with deadlines of its own.
  const test: Test = (guarantee, body, options = roomy) =>
    it.scopedLive(guarantee, () => Effect.provide(Effect.provide(body, makeLayer(options)), Scheduler.layer))

  describe(`Broker on ${name}`, () => {
    describe("producers", () => producers(test))
    describe("subscribers", () => subscribers(test))
    describe("a full log", () => fullLog(test))
  })
}
