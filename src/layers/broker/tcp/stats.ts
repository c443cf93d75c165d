/** The figures of a broker, from what its `/stats` shows. */
import { Effect, Schema } from "effect"
import { BrokerStatistics } from "../../../protocol/BrokerStatistics.ts"
import type { ResponseAnswer } from "../../../protocol/wire/AnswerDecoder.ts"
import type { BrokerStats, BrokerUnavailable } from "../../Broker.ts"
import { statsOf } from "../../BrokerStatistics.ts"
import { textOf, unavailable } from "./connecting.ts"

const decode = Schema.decodeUnknown(Schema.parseJson(BrokerStatistics.omit("rejects")))

/** What a broker answered `get_stats`. */
export const decodeStats = (answer: ResponseAnswer): Effect.Effect<BrokerStats, BrokerUnavailable> =>
  Effect.mapBoth(decode(textOf(answer)), {
    onSuccess: statsOf,
    onFailure: () => unavailable("the broker's figures can't be read")
  })
