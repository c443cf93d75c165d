/** Streamers and collectors, as they were set. */
import { Layer } from "effect"
import * as Collectors from "../layers/collectors/embedded.ts"
import type { Values } from "../layers/Setting.ts"
import type { collectorSettings } from "../layers/settings/collector.ts"
import type { StreamerSettings } from "../layers/settings/streamer.ts"
import * as Streamers from "../layers/streamers/embedded.ts"
import { offsetOf, ProducerId, type StartFrom, SubscriberId } from "../protocol/Log.ts"

export const streamers = ({ streamerId, rate, ...settings }: StreamerSettings) =>
  Layer.provide(
    Streamers.layer,
    Streamers.StreamerConfig.layer({
      ...settings,
      streamerId: ProducerId.make(streamerId),
      rowsPerSecond: rate
    })
  )

export type CollectorSettings = Values<typeof collectorSettings.settings>

/** Where collectors start that have no checkpoint. */
export const startOf = ({ startOffset }: CollectorSettings): StartFrom =>
  typeof startOffset === "number" ? offsetOf(startOffset) : startOffset

/** They end when all that is in the log is stored, or where what they have received is. */
export const collectors = (settings: CollectorSettings, drainTo: "log_end" | "received") =>
  Layer.provide(
    Collectors.layer,
    Collectors.CollectorConfig.layer({
      collectorId: SubscriberId.make(settings.collectorId),
      collectors: settings.collectors,
      from: startOf(settings),
      drainTo
    })
  )
