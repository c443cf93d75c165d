/**
 * The Broker: which offset a publish gets; what is a duplicate, refused, fenced; when a publish waits; checkpoints; what
 * retention drops.
 *
 * Recoverable are the end of the log, the producers and the checkpoints. Who is connected, what waits and how large the log
 * is, is volatile: connections end with the process, and the log knows its size.
 */
import { enqueueActions } from "xstate"
import { publishing } from "./broker/Publishing.ts"
import { retention } from "./broker/Retention.ts"
import { setupBroker } from "./broker/Setup.ts"
import { type BrokerContext, initialContext } from "./broker/State.ts"
import { subscribers } from "./broker/Subscribers.ts"
import { stepper } from "./Step.ts"

const hasWaiting = ({ context }: { readonly context: BrokerContext }): boolean =>
  context.volatile.waiting.length > 0

export const brokerMachine = setupBroker.createMachine({
  id: "broker",
  context: ({ input }) => initialContext(input),
  initial: "accepting",
  states: {
    accepting: { always: { guard: hasWaiting, target: "full" } },
    /** The log is full: publishes wait until something may be dropped. */
    full: {
      entry: enqueueActions(({ context: { volatile }, enqueue }) => {
        // An append that is under way asks by itself when it has ended.
        if (volatile.settlements.length === 0) enqueue({ type: "measureLog", params: undefined })
      }),
      always: { guard: (args) => !hasWaiting(args), target: "accepting" }
    }
  },
  on: { ...publishing.on, ...subscribers.on, ...retention.on }
})

export const brokerStepper = stepper(brokerMachine)
export type BrokerSnapshot = ReturnType<typeof brokerStepper.initial>[0]
