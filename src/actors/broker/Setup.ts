/** What a Broker wants done, by name, and what its parts are typed with. */
import { setup } from "xstate"
import type { BrokerFact } from "../../protocol/BrokerFact.ts"
import type { Offset, ProducerId, Sequence, SourcePosition, SubscriberId } from "../../protocol/Log.ts"
import { command } from "../Step.ts"
import type { Settlement, Take } from "./Admission.ts"
import type {
  BrokerContext,
  BrokerInput,
  BrokerRequest,
  BrokerState,
  Opening,
  SubscriptionKey
} from "./State.ts"

export const setupBroker = setup({
  types: {
    context: {} as BrokerContext,
    events: {} as BrokerRequest | BrokerFact,
    input: {} as BrokerInput
  },
  actions: {
    /** Start to append these records, in this order, as one group. */
    appendBatches: command<{ readonly takes: ReadonlyArray<Take> }>(),
    settlePublishes: command<{ readonly settlements: ReadonlyArray<Settlement> }>(),
    wakeSubscriptions: command<{ readonly end: Offset }>(),
    answerHello: command<{
      readonly replyTo: number
      readonly lastSequence: Sequence | null
      readonly lastPosition: SourcePosition | null
    }>(),
    openSubscription: command<Opening>(),
    refuseSubscribe: command<{ readonly replyTo: number; readonly reason: "too_many_checkpoints" }>(),
    /** It was taken over, or unsubscribed; or it is to come again and start elsewhere. */
    endSubscription: command<{
      readonly subscription: SubscriptionKey
      readonly reason: "lost" | "checkpoint_set"
    }>(),
    answerCommit: command<{ readonly replyTo: number; readonly offset: Offset }>(),
    refuseCommit: command<{
      readonly replyTo: number
      readonly reason: "not_holder" | "too_many_checkpoints"
    }>(),
    answerUnsubscribe: command<{ readonly replyTo: number }>(),
    refuseUnsubscribe: command<{ readonly replyTo: number; readonly reason: "not_holder" }>(),
    answerSetCheckpoint: command<{ readonly replyTo: number; readonly offset: Offset }>(),
    refuseSetCheckpoint: command<{ readonly replyTo: number; readonly reason: "unknown_subscriber" }>(),
    record: command<{ readonly fact: BrokerFact }>(),
    measureLog: command<undefined>(),
    /**
     * Save what there is, and drop what lies below an offset only then: producers outlive the records that said who they are.
     */
    saveSnapshot: command<{ readonly state: BrokerState; readonly dropBefore: Offset | null }>(),
    /** Nothing of what they asked for has happened: it could not be made durable. */
    failAsked: command<{ readonly replyTos: ReadonlyArray<number>; readonly problem: string }>(),
    /** Somebody may miss what is forgotten here: it is logged. */
    tellForgotten: command<
      | { readonly producerIds: ReadonlyArray<ProducerId> }
      | { readonly subscriberIds: ReadonlyArray<SubscriberId> }
    >()
  }
})

/** The part of a machine's definition that says what it does with some events, whatever state it is in. */
export const handling = setupBroker.createStateConfig
