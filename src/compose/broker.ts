/** The broker, as it was set: in this process, over a log in memory or in files, or in another one. */
import { Effect, Layer } from "effect"
import * as Embedded from "../layers/broker/embedded.ts"
import * as Tcp from "../layers/broker/tcp.ts"
import * as Files from "../layers/Files.ts"
import * as JournalFiles from "../layers/journal/files.ts"
import * as JournalMemory from "../layers/journal/memory.ts"
import * as LogMemory from "../layers/offset-log/memory.ts"
import * as LogSegments from "../layers/offset-log/segments.ts"
import { SettingError } from "../layers/Setting.ts"
import type { BrokerSettings } from "../layers/settings/broker.ts"
import type { BrokerClientSettings } from "../layers/settings/broker-client.ts"
import { segmentsPerRetention } from "../protocol/Limits.ts"
import { readTlsFiles } from "./tls.ts"

/** A damaged log, told with what opens it all the same. */
const howToQuarantine = (error: LogSegments.LogDamaged | LogSegments.LogUnusable) =>
  error._tag === "LogDamaged"
    ? new SettingError({ problems: [`${error.message} (LOG_ON_DAMAGE or --log-on-damage says so)`] })
    : error

/** Log and journal: with a folder, what is in them outlives the process. */
const storage = ({ log, retentionBytes, retentionMs }: BrokerSettings) => {
  const segments = {
    segmentBytes: Math.ceil(retentionBytes / segmentsPerRetention),
    segmentMs: retentionMs === null ? Number.POSITIVE_INFINITY : retentionMs / segmentsPerRetention
  }
  if (log.kind === "memory") {
    return Layer.merge(
      Layer.provide(LogMemory.layerMemory, LogMemory.MemoryLogConfig.layer(segments)),
      JournalMemory.layerMemory
    )
  }
  return Layer.merge(
    Layer.provide(
      LogSegments.layerSegments,
      LogSegments.SegmentLogConfig.layer({ ...log, ...segments })
    ).pipe(Layer.mapError(howToQuarantine)),
    Layer.provide(
      JournalFiles.layerFiles,
      JournalFiles.FileJournalConfig.layer({ directory: log.journal, fsync: log.fsync })
    )
  ).pipe(Layer.provide(Files.layerNode))
}

export const embeddedBroker = (settings: BrokerSettings) =>
  Embedded.layerEmbedded.pipe(
    Layer.provide(Embedded.BrokerConfig.layer(settings)),
    Layer.provide(storage(settings))
  )

export const remoteBroker = ({ tls, token, ...address }: BrokerClientSettings) =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const secured =
        tls === undefined
          ? {}
          : {
              tls: {
                ...(yield* readTlsFiles(tls)),
                ...(tls.servername === undefined ? {} : { servername: tls.servername })
              }
            }
      const config = { ...address, ...(token === undefined ? {} : { token }), ...secured }
      return Layer.provide(Tcp.layerTcp, Tcp.BrokerClientConfig.layer(config))
    })
  )
