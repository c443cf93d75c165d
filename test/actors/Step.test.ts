/**
 * `stepper` passes one reused scope to every step; xstate's own `transition()` makes an actor for each. Both have to lead to
 * the same, and neither may touch the snapshot that it was given.
 */
import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { type AnyStateMachine, assign, initialTransition, setup, transition } from "xstate"
import { brokerMachine, brokerStepper } from "../../src/actors/Broker.ts"
import { collectorMachine, collectorStepper } from "../../src/actors/Collector.ts"
import { command, fold, stepper } from "../../src/actors/Step.ts"
import { streamerMachine, streamerStepper } from "../../src/actors/Streamer.ts"
import { subscriptionMachine, subscriptionStepper } from "../../src/actors/Subscription.ts"
import { offsetOf } from "../../src/protocol/Log.ts"
import { BrokerWorld, blockingPolicy, brokerHistory } from "../properties/worlds/broker.ts"
import { CollectorWorld, collectorHistory } from "../properties/worlds/collector.ts"
import { deepFreeze, plain } from "../properties/worlds/Play.ts"
import { StreamerWorld, streamerHistory, streamerInput } from "../properties/worlds/streamer.ts"
import { SubscriptionWorld, subscriptionHistory } from "../properties/worlds/subscription.ts"

interface Seen {
  readonly value: unknown
  readonly context: unknown
}
type Outcome = readonly [Seen, ReadonlyArray<{ readonly type: string; readonly params?: unknown }>]

/** What of a step counts: value and context of the snapshot, and the commands. */
const seen = ([{ value, context }, commands]: Outcome) => ({
  value,
  context: plain(context),
  commands: commands.map(({ type, params }) => ({ type, params: plain(params) }))
})

interface AnyStepper<Snapshot, Event> {
  readonly step: (snapshot: Snapshot, event: Event) => Outcome
}

/**
 * Steps along a history, and at every place also by an event that belongs to another one: what the machine makes of it must
 * be the same too.
 */
const agrees = <Snapshot extends Seen, Event>(
  machine: AnyStateMachine,
  pinned: AnyStepper<Snapshot, Event>,
  steps: ReadonlyArray<{ readonly before: Snapshot; readonly event: Event }>,
  stray: number
): void => {
  steps.forEach(({ before, event }, index) => {
    for (const given of [event, steps[(index + stray) % steps.length]!.event]) {
      deepFreeze(before.context)
      const asItWas = JSON.stringify(plain(before.context))
      const stepped = seen(pinned.step(before, given))
      expect(stepped).toEqual(
        seen(transition(machine, before as never, given as never) as unknown as Outcome)
      )
      expect(JSON.stringify(plain(before.context))).toBe(asItWas)
    }
  })
}

const options = { fastCheck: { numRuns: 30 } }
const stray = FastCheck.nat(40)

describe("a step through the reused scope is xstate's transition, and leaves its snapshot as it was:", () => {
  it.prop(
    "Broker",
    { history: brokerHistory, stray },
    ({ history, stray }) => {
      const { play } = new BrokerWorld(history).run(history.ops)
      agrees(brokerMachine, brokerStepper, play.steps, stray)
    },
    options
  )

  it.prop(
    "Subscription",
    { history: subscriptionHistory, stray },
    ({ history, stray }) => {
      const { play } = new SubscriptionWorld(history).run(history.ops)
      agrees(subscriptionMachine, subscriptionStepper, play.steps, stray)
    },
    options
  )

  it.prop(
    "Streamer",
    { history: streamerHistory, stray },
    ({ history, stray }) => {
      const { play } = new StreamerWorld(history).run(history.ops)
      agrees(streamerMachine, streamerStepper, play.steps, stray)
    },
    options
  )

  it.prop(
    "Collector",
    { history: collectorHistory, stray },
    ({ history, stray }) => {
      const { play } = new CollectorWorld(history).run(history.ops)
      agrees(collectorMachine, collectorStepper, play.steps, stray)
    },
    options
  )

  it("the initial snapshots too", () => {
    const bounds = { oldest: offsetOf(0), next: offsetOf(0), bytes: 0, segments: [] }
    const broker = { policy: blockingPolicy(1_000), nowMs: 0, bounds }
    expect(seen(brokerStepper.initial(broker))).toEqual(
      seen(initialTransition(brokerMachine, broker) as unknown as Outcome)
    )
    expect(seen(streamerStepper.initial(streamerInput))).toEqual(
      seen(initialTransition(streamerMachine, streamerInput) as unknown as Outcome)
    )
  })
})

describe("a stepper", () => {
  const counting = setup({
    types: {
      context: {} as { readonly recoverable: number; readonly volatile: null },
      events: {} as { readonly type: "Added"; readonly n: number } | { readonly type: "Broken" }
    },
    actions: { tell: command<{ readonly n: number }>() }
  }).createMachine({
    context: { recoverable: 0, volatile: null },
    on: {
      Added: {
        actions: [
          assign(({ context, event }) => ({ recoverable: context.recoverable + event.n })),
          { type: "tell", params: ({ event }) => ({ n: event.n }) }
        ]
      },
      Broken: {
        actions: [
          { type: "tell", params: { n: -1 } },
          assign(() => {
            throw new Error("an assign that breaks")
          })
        ]
      }
    }
  })
  const counter = stepper(counting)
  const [zero] = counter.initial(undefined)

  it("returns resolved params, and keeps nothing of a step that threw", () => {
    expect(() => counter.step(zero, { type: "Broken" })).toThrow("an assign that breaks")
    const [one, commands] = counter.step(zero, { type: "Added", n: 1 })
    expect(commands).toEqual([{ type: "tell", params: { n: 1 } }])
    expect(one.context.recoverable).toBe(1)
    expect(counter.step(zero, { type: "Added", n: 2 })[0].context.recoverable).toBe(2)
    expect(commands).toEqual([{ type: "tell", params: { n: 1 } }])
  })

  it.prop(
    "folds facts in any groups to the same",
    [FastCheck.array(FastCheck.nat(9)), FastCheck.nat()],
    ([ns, at]) => {
      const facts = ns.map((n) => ({ type: "Added" as const, n }))
      const cut = at % (facts.length + 1)
      const whole = fold(counter, zero, facts)
      const inTwo = fold(counter, fold(counter, zero, facts.slice(0, cut)), facts.slice(cut))
      expect(inTwo.context).toEqual(whole.context)
      expect(whole.context.recoverable).toBe(ns.reduce((a, b) => a + b, 0))
    }
  )
})
