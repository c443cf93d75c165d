/** What the broker's HTTP API answers when all is well. Fields that the earlier system had keep its names. */
import { Schema } from "effect"
import { instant, number, text } from "../Fields.ts"
import { RejectCounts } from "../Rejections.ts"

const flag = (description: string, example: boolean) =>
  Schema.Boolean.annotations({ description, examples: [example] })

const subscriberExample = { id: "collector-1", current_offset: 1_200, lag: 34, missed: 0 }
const checkpointExample = {
  id: "collector-2",
  offset: 17,
  lag: 1_217,
  connected: false,
  last_seen: "2025-07-18T20:42:34Z",
  holds_back: true,
  holds_back_seconds: 75_600
}

const SubscriberStatistics = Schema.Struct({
  id: text("Id of the subscriber", "collector-1"),
  current_offset: number("Offset of the message that is delivered to it next", 1_200),
  lag: number("Messages in the log that were not delivered to it yet", 34),
  missed: number("Messages that retention dropped before this subscription read them", 0)
}).annotations({ identifier: "Subscriber", description: "A subscription that is open" })

const holdsBackSeconds = "goes on to hold the log back until it is seen again or this has passed"

const CheckpointStatistics = Schema.Struct({
  id: text("Id of the subscriber", "collector-2"),
  offset: number("Everything below this offset is done", 17),
  lag: number("Messages in the log that it has not committed yet", 1_217),
  connected: flag("Whether it has a subscription open", false),
  last_seen: instant("When it was last seen", "2025-07-18T20:42:34Z"),
  holds_back: flag("Whether the log keeps what it has not committed yet", true),
  holds_back_seconds: Schema.optional(
    number(
      `Seconds for which it ${holdsBackSeconds}; left out while it is connected or holds nothing back`,
      75_600
    )
  )
}).annotations({ identifier: "Checkpoint", description: "How far a subscriber is, connected or not" })

const ProducerStatistics = Schema.Struct({
  id: text("Id of the producer", "streamer-1"),
  last_sequence: number("Its number for the last message that it has in the log", 1_233)
}).annotations({ identifier: "Producer", description: "A producer that the log knows" })

const Gaps = Schema.Struct({
  count: number("Gaps told to subscriptions", 0),
  messages: number("Messages in them", 0)
}).annotations({
  identifier: "Gaps",
  description: "What retention dropped before subscriptions read it, since the process started"
})

export const BrokerStatistics = Schema.Struct({
  total_messages: number("Messages ever appended, across restarts", 1_234),
  oldest_offset: number("Offset of the oldest message that is retained", 0),
  latest_offset: number("Offset of the last message; 0 while there is none", 1_233),
  subscriber_count: number("Length of `subscribers`", 1),
  subscribers: Schema.Array(SubscriberStatistics).annotations({
    description: "Subscriptions that are open",
    examples: [[subscriberExample]]
  }),
  next_offset: number("Offset that the next message gets", 1_234),
  log_id: text("Changes when the log is a new one", "b3f5c1de-8f2b-4d27-9a52-1d7f1f0f6a11"),
  log_bytes: number("Size of what is retained", 52_428_800),
  waiting_messages: number("Messages for which the log has no room yet", 0),
  full_for_seconds: Schema.optional(
    Schema.NonNegative.annotations({
      description: "For how long publishes have been waiting for room; left out while none does",
      examples: [1.5]
    })
  ),
  producers: Schema.Array(ProducerStatistics).annotations({
    description: "Producers that the log knows",
    examples: [[{ id: "streamer-1", last_sequence: 1_233 }]]
  }),
  checkpoints: Schema.Array(CheckpointStatistics).annotations({
    description: "Checkpoints, ascending by offset: whoever holds the log back stands first",
    examples: [[checkpointExample]]
  }),
  gaps: Gaps.annotations({ examples: [{ count: 0, messages: 0 }] }),
  rejects: RejectCounts
}).annotations({ identifier: "Stats", description: "What the log holds, and who writes and reads it" })
export interface BrokerStatistics extends Schema.Schema.Type<typeof BrokerStatistics> {}

export const BrokerHealth = Schema.Struct({
  status: Schema.Literal("healthy", "recovering", "degraded").annotations({
    description:
      "`recovering` while it reads its log back after a start, `degraded` while it works and can't do all of its work",
    examples: ["healthy"]
  }),
  reason: Schema.optional(
    text(
      "Why it is not healthy; left out while it is",
      "the log is full: held back by collector-1 at offset 17 (connected)"
    )
  )
}).annotations({ identifier: "Health", description: "The process works" })
export interface BrokerHealth extends Schema.Schema.Type<typeof BrokerHealth> {}

const HeldBackBy = Schema.Struct({
  id: text("Id of the subscriber", "collector-2"),
  offset: number("The log keeps everything from this offset on", 17),
  seconds_left: number(`Seconds for which it ${holdsBackSeconds}`, 75_600)
}).annotations({ identifier: "HeldBackBy", description: "A subscriber that is away and holds the log back" })

export const BrokerReady = Schema.Struct({
  status: Schema.Literal("ready").annotations({ description: "It takes messages", examples: ["ready"] }),
  held_back_by: Schema.Array(HeldBackBy).annotations({
    description:
      "Subscribers that are away and for which the log keeps messages: while that lasts it can become full",
    examples: [[{ id: "collector-2", offset: 17, seconds_left: 75_600 }]]
  })
}).annotations({ identifier: "Ready", description: "Messages can be published and are delivered" })
export interface BrokerReady extends Schema.Schema.Type<typeof BrokerReady> {}
