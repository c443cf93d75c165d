/**
 * The object of `/stats`, of the broker's HTTP API and of `get_stats` over TCP: what a client rebuilds a broker's figures
 * from. Fields that the earlier system had keep its names.
 */
import { Schema } from "effect"
import { instant, number, text } from "./Fields.ts"
import { RejectCounts } from "./Reject.ts"

const flag = (description: string, example: boolean) =>
  Schema.Boolean.annotations({ description, examples: [example] })

const subscriberExample = { id: "collector-1", current_offset: 1_200, lag: 34, missed: 0, checkpoint: 1_100 }
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
  missed: number("Messages that retention dropped before this subscription read them", 0),
  checkpoint: Schema.optional(
    number("Everything below this offset is done; left out where it has no checkpoint", 1_100)
  )
}).annotations({ identifier: "Subscriber", description: "A subscription that is open" })

export const holdsBackSeconds = "goes on to hold the log back until it is seen again or this has passed"

const CheckpointStatistics = Schema.Struct({
  id: text("Id of the subscriber", "collector-2"),
  offset: number("Everything below this offset is done", 17),
  lag: number("Messages in the log that it has not committed yet", 1_217),
  connected: flag("Whether it has a subscription open", false),
  last_seen: instant("When it was last seen", "2025-07-18T20:42:34Z"),
  holds_back: flag("Whether the log keeps what it has not committed yet", true),
  holds_back_seconds: Schema.optional(
    Schema.NonNegative.annotations({
      description: `Seconds for which it ${holdsBackSeconds}; left out while it is connected or holds nothing back`,
      examples: [75_600]
    })
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

const Recovery = Schema.Struct({
  records: number("Messages that were found", 1_200),
  bytes: number("Their size", 50_331_648),
  torn_bytes: number("Bytes of an append that was never finished, and that were cut off", 0),
  duration_ms: Schema.NonNegative.annotations({ description: "How long it took", examples: [84] })
}).annotations({ identifier: "Recovery", description: "How the log came back when it was opened" })

const LogStatistics = Schema.Struct({
  problem: Schema.optional(
    text("Why nothing can be appended now; left out while it can", "ENOSPC: no space left on device")
  ),
  appends: number("Appends since it was opened, each of any number of messages", 34),
  appended_bytes: number("Size of what they appended", 1_572_864),
  syncs: number("How often they were made durable", 34),
  recovery: Schema.optional(
    Recovery.annotations({
      examples: [{ records: 1_200, bytes: 50_331_648, torn_bytes: 0, duration_ms: 84 }]
    })
  )
}).annotations({ identifier: "Log", description: "The log's own work since it was opened" })

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
  log: LogStatistics.annotations({ examples: [{ appends: 34, appended_bytes: 1_572_864, syncs: 34 }] }),
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
