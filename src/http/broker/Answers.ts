/** What the broker's HTTP API answers when all is well, beside `/stats`. */
import { Schema } from "effect"
import { holdsBackSeconds } from "../../protocol/BrokerStatistics.ts"
import { number, text } from "../../protocol/Fields.ts"

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
