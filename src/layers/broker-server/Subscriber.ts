/** A subscription of a connection: what was sent to it, and the loop that sends more as fast as the peer takes it. */
import { Cause, Effect, ExecutionStrategy, Exit, Option, Scope } from "effect"
import { type Offset, offsetOf, type SubscriberId } from "../../protocol/Log.ts"
import { gapFrame } from "../../protocol/wire/Answers.ts"
import { encodeMessagesBody, messagesHeader } from "../../protocol/wire/BinaryFrames.ts"
import { encodeMessages } from "../../protocol/wire/MessageFrames.ts"
import type {
  BrokerUnavailable,
  Delivery,
  SubscribeOptions,
  SubscribeRefused,
  Subscription,
  SubscriptionTakenOver
} from "../Broker.ts"
import type { Outbox } from "./Outbox.ts"
import type { Surroundings } from "./Surroundings.ts"

/** Bytes of payloads that are encoded and written at a time. */
const writeBytesMax = 256 * 1024

/** How messages are written: in binary, or in JSON with the subscriber's id or without it. */
export type MessageForm = "binary" | "named" | "legacy"

type Messages = Extract<Delivery, { _tag: "Messages" }>

export interface Subscriber {
  readonly id: SubscriberId
  /** What binary frames name it by. */
  readonly number: number
  readonly subscription: Subscription
  /** Whether a message was sent to it; perhaps it is done already. */
  readonly wasSent: (offset: number) => boolean
  /** The offset behind the last message that was sent. */
  readonly sentEnd: () => number
  /** Starts sending; `onEnd` is called when the broker ends it. */
  readonly start: (onEnd: (reason: SubscriptionTakenOver | BrokerUnavailable) => void) => void
  /** Sends nothing more, and tells nobody when the broker ends it: its peer wants that. */
  readonly silence: () => void
  /** Ends it here: nothing more is sent. */
  readonly close: Effect.Effect<void>
}

export interface SubscriberOptions {
  readonly surroundings: Surroundings
  readonly outbox: Outbox
  readonly number: number
  readonly form: MessageForm
  /** Of the connection. */
  readonly scope: Scope.Scope
}

/** Messages in parts of so many bytes, or of one message. */
const parts = (messages: Messages): ReadonlyArray<Messages> => {
  const { firstOffset, payloads } = messages
  const cut: Array<Messages> = []
  let from = 0
  let bytes = 0
  for (let index = 0; index < payloads.length; index++) {
    bytes += payloads[index]!.length
    if (index > from && bytes > writeBytesMax) {
      cut.push({
        _tag: "Messages",
        firstOffset: offsetOf(firstOffset + from),
        payloads: payloads.slice(from, index)
      })
      from = index
      bytes = payloads[index]!.length
    }
  }
  if (from === 0) return [messages]
  cut.push({ _tag: "Messages", firstOffset: offsetOf(firstOffset + from), payloads: payloads.slice(from) })
  return cut
}

const encodeLegacy = ({ firstOffset, payloads }: Messages) => encodeMessages(firstOffset, payloads)
const encodeBinary = ({ firstOffset, payloads }: Messages) => encodeMessagesBody(firstOffset, payloads)

/** Opens a subscription. */
export const open = (
  { surroundings, outbox, number, form, scope }: SubscriberOptions,
  options: SubscribeOptions
): Effect.Effect<Subscriber, SubscribeRefused | BrokerUnavailable> =>
  Effect.gen(function* () {
    const { broker, ranges, run } = surroundings
    const id = options.subscriberId
    const own = yield* Scope.fork(scope, ExecutionStrategy.sequential)
    const subscription = yield* Scope.extend(broker.subscribe(options), own).pipe(
      Effect.onError(() => Scope.close(own, Exit.void))
    )
    let interrupt = () => {}
    let interruptTake = () => {}
    let sentEnd: Offset = subscription.start
    let isClosed = false

    const write = (messages: Messages): void => {
      if (form === "binary") {
        const body = ranges.encoded(`binary ${subscription.logId}`, messages, encodeBinary)
        outbox.write(messagesHeader(number, body), body)
      } else if (form === "legacy") {
        outbox.write(undefined, ranges.encoded(`legacy ${subscription.logId}`, messages, encodeLegacy))
      } else outbox.write(undefined, encodeMessages(messages.firstOffset, messages.payloads, id))
      sentEnd = offsetOf(Math.max(sentEnd, messages.firstOffset + messages.payloads.length))
    }
    const send = (delivery: Delivery): Effect.Effect<void> => {
      if (delivery._tag === "Gap") {
        return Effect.sync(() => {
          if (form !== "legacy") outbox.sendNow(gapFrame(id, delivery.from, delivery.to))
          sentEnd = offsetOf(Math.max(sentEnd, delivery.to))
        })
      }
      return Effect.forEach(
        parts(delivery),
        (part) =>
          Effect.suspend(() => {
            if (isClosed) return Effect.void
            write(part)
            return outbox.awaitDrain
          }),
        { discard: true }
      )
    }
    /**
     * What is there is taken in turn with the connection's other subscriptions, so that of all of them one at most has taken
     * what is not written yet. While nothing is there, the others have theirs.
     */
    const delivering = Effect.forever(
      Effect.suspend(() => {
        let taken: Exit.Exit<ReadonlyArray<Delivery>, SubscriptionTakenOver | BrokerUnavailable> | undefined
        let onTaken = () => {}
        const awaitTaken = Effect.async<void>((resume) => {
          if (taken !== undefined) resume(Effect.void)
          else onTaken = () => resume(Effect.void)
        })
        const sendTaken = Effect.suspend(() =>
          Effect.flatMap(taken!, (deliveries) => Effect.forEach(deliveries, send, { discard: true }))
        )
        // That it has ended waits for nobody to read.
        const sendOrEnd = Effect.suspend(() =>
          Exit.isFailure(taken!) ? sendTaken : outbox.inTurn(sendTaken)
        )
        const takeOrWait = Effect.suspend(() => {
          interruptTake = run(subscription.deliveries, (exit) => {
            taken = exit
            onTaken()
          })
          return taken === undefined ? Effect.succeed(true) : Effect.as(sendTaken, false)
        })
        return Effect.flatMap(outbox.inTurn(takeOrWait), (waits) =>
          waits ? Effect.zipRight(awaitTaken, sendOrEnd) : Effect.void
        )
      })
    )
    return {
      id,
      number,
      subscription,
      wasSent: (offset) => offset >= subscription.start && offset < sentEnd,
      sentEnd: () => sentEnd,
      start: (onEnd) => {
        if (isClosed) return
        interrupt = run(delivering, (exit) => {
          const failure = Exit.isFailure(exit)
            ? Option.getOrUndefined(Cause.failureOption(exit.cause))
            : undefined
          if (failure !== undefined && !isClosed) onEnd(failure)
        })
      },
      silence: () => {
        isClosed = true
      },
      close: Effect.suspend(() => {
        isClosed = true
        interrupt()
        interruptTake()
        return Scope.close(own, Exit.void)
      })
    }
  })
