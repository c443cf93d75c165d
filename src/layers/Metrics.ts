/**
 * Every metric of ours, by the service that it is about: names, meanings, and where the figures come from.
 *
 * A service that can't be read now is told by its `_up` metric; the others of it are absent then, rather than wrong.
 */
import {
  Clock,
  Effect,
  Layer,
  Metric,
  MetricBoundaries,
  MetricKey,
  MetricLabel,
  MetricPair,
  MetricState
} from "effect"
import { Broker, type BrokerStats } from "./Broker.ts"
import { BrokerServer } from "./BrokerServer.ts"
import { Collectors } from "./Collectors.ts"
import { type MetricSource, MetricSources } from "./MetricSources.ts"
import { Rejects } from "./Rejects.ts"
import { Streamers } from "./Streamers.ts"
import { TelemetryStore } from "./TelemetryStore.ts"

type Labels = Readonly<Record<string, string>>
type Pair = MetricPair.MetricPair.Untyped

const labelled = (labels: Labels) =>
  Object.entries(labels).map(([key, value]) => MetricLabel.make(key, value))

/** A figure that rises and falls. */
const gauge = (name: string, description: string) => {
  const key = MetricKey.gauge(name, { description })
  return (value: number, labels: Labels = {}): Pair =>
    MetricPair.unsafeMake(MetricKey.taggedWithLabels(key, labelled(labels)), MetricState.gauge(value))
}

/** A figure that only rises, but for a restart. */
const counter = (name: string, description: string) => {
  const key = MetricKey.counter(name, { description, incremental: true })
  return (value: number, labels: Labels = {}): Pair =>
    MetricPair.unsafeMake(MetricKey.taggedWithLabels(key, labelled(labels)), MetricState.counter(value))
}

const streamer = {
  rows: counter("telemetry_streamer_rows_read_total", "Rows read, rejected ones included"),
  samples: counter("telemetry_streamer_samples_read_total", "Samples read"),
  batches: counter("telemetry_streamer_batches_published_total", "Batches that the broker has acknowledged")
}

const broker = {
  up: gauge("telemetry_broker_up", "Whether the broker can be reached: 1 or 0"),
  appended: counter("telemetry_broker_records_appended_total", "Records ever appended, across restarts"),
  logBytes: gauge("telemetry_broker_log_bytes", "Size of what the log retains"),
  oldest: gauge("telemetry_broker_oldest_offset", "Offset of the oldest record that is retained"),
  next: gauge("telemetry_broker_next_offset", "Offset that the next record gets"),
  waiting: gauge("telemetry_broker_waiting_records", "Records for which the log has no room yet"),
  fullSeconds: gauge(
    "telemetry_broker_full_seconds",
    "For how long publishes have been waiting for room; 0 while none does"
  ),
  producers: gauge("telemetry_broker_producers", "Producers that the log knows"),
  subscribers: gauge("telemetry_broker_subscribers", "Subscriptions that are open"),
  subscriberLag: gauge(
    "telemetry_broker_subscriber_lag_records",
    "Records that an open subscription has yet to be delivered"
  ),
  subscriberPending: gauge(
    "telemetry_broker_subscriber_pending_records",
    "Records between the checkpoint of an open subscription and what it is delivered next; absent without a checkpoint"
  ),
  subscriberGaps: counter(
    "telemetry_broker_gap_records_total",
    "Records that retention dropped before this open subscription read them"
  ),
  checkpointLag: gauge(
    "telemetry_broker_checkpoint_lag_records",
    "Records that a subscriber has yet to commit, whether or not it is connected"
  ),
  logProblem: gauge("telemetry_broker_log_problem", "Whether nothing can be appended now: 1 or 0"),
  appends: counter(
    "telemetry_broker_appends_total",
    "Appends since the log was opened, each of any number of records"
  ),
  appendedBytes: counter("telemetry_broker_appended_bytes_total", "Size of what was appended since then"),
  syncs: counter("telemetry_broker_syncs_total", "How often what was appended was made durable since then"),
  recoveredRecords: gauge("telemetry_broker_recovered_records", "Records found when the log was opened"),
  recoveredBytes: gauge("telemetry_broker_recovered_bytes", "Size of the records found then"),
  tornBytes: gauge(
    "telemetry_broker_recovery_torn_bytes",
    "Bytes of an append that was never finished, cut off then"
  ),
  recoverySeconds: gauge("telemetry_broker_recovery_seconds", "How long opening the log took"),
  gaps: counter("telemetry_broker_gaps_total", "Gaps told to subscriptions"),
  missed: counter("telemetry_broker_missed_records_total", "Records that were told to subscriptions as gaps")
}

const server = {
  connections: gauge("telemetry_broker_connections", "Connections that are open"),
  subscriptions: gauge("telemetry_broker_connection_subscriptions", "Subscriptions of connections"),
  pendingBytes: gauge("telemetry_broker_pending_bytes", "Bytes of requests that are not answered yet"),
  accepted: counter("telemetry_broker_connections_accepted_total", "Connections that were accepted"),
  bytesRead: counter("telemetry_broker_read_bytes_total", "Bytes that peers sent"),
  bytesWritten: counter("telemetry_broker_written_bytes_total", "Bytes that peers were sent"),
  framesRead: counter("telemetry_broker_frames_read_total", "Frames that peers sent"),
  errors: counter("telemetry_broker_errors_total", "Errors that peers were sent, by name")
}

const collector = {
  messages: counter("telemetry_collector_messages_received_total", "Messages received"),
  samples: counter("telemetry_collector_samples_stored_total", "Samples that the store acknowledged"),
  refused: counter("telemetry_collector_samples_refused_total", "Samples that the store refused"),
  missed: counter(
    "telemetry_collector_messages_missed_total",
    "Messages that retention dropped before they were read"
  ),
  checkpoint: gauge("telemetry_collector_checkpoint_offset", "Everything below this offset is stored")
}

const store = {
  up: gauge("telemetry_store_up", "Whether the store can be reached: 1 or 0"),
  samples: gauge("telemetry_store_samples", "Samples stored now"),
  gpus: gauge("telemetry_store_gpus", "GPUs of which samples are stored"),
  evicted: counter(
    "telemetry_store_samples_evicted_total",
    "Samples that a bound of the store has thrown out since the process started"
  )
}

const rejects = counter("telemetry_rejects_total", "Inputs that this process rejected, by reason")

const processMetrics = {
  residentMemory: gauge("process_resident_memory_bytes", "Resident memory size in bytes"),
  cpu: counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds"),
  start: gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds"),
  eventLoopLag: gauge("nodejs_eventloop_lag_seconds", "Lag of the event loop in seconds, as of this scrape")
}

const gatewayRequests = Metric.counter("telemetry_gateway_requests_total", {
  description: "Requests answered, by status code; `aborted` where the client did not wait for the end",
  incremental: true
})

const gatewaySeconds = Metric.histogram(
  "telemetry_gateway_request_duration_seconds",
  MetricBoundaries.fromIterable([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]),
  "Time from a request's head to the end of its answer"
)

/** Tagged once, as looking a tagged metric up costs more than counting. */
const gatewayRequestsByCode = new Map<number | "aborted", typeof gatewayRequests>()

/** Counts a request that the gateway has answered. */
export const countGatewayRequest = (code: number | "aborted", seconds: number): void => {
  let requests = gatewayRequestsByCode.get(code)
  if (requests === undefined) {
    requests = Metric.tagged(gatewayRequests, "code", String(code))
    gatewayRequestsByCode.set(code, requests)
  }
  requests.unsafeUpdate(1, [])
  gatewaySeconds.unsafeUpdate(seconds, [])
}

/** Has a source read while the layer lives. */
const read = <R>(source: Effect.Effect<MetricSource, never, R>): Layer.Layer<never, never, R> =>
  Layer.scopedDiscard(
    Effect.flatMap(source, (metrics) => Effect.flatMap(MetricSources, (sources) => sources.add(metrics)))
  )

/** The figures of a service, or that it is down. */
const whileUp = <A, E>(
  figures: Effect.Effect<A, E>,
  up: (value: number) => Pair,
  pairs: (figures: A) => ReadonlyArray<Pair>
): MetricSource =>
  Effect.match(figures, { onFailure: () => [up(0)], onSuccess: (read) => [up(1), ...pairs(read)] })

const logPairs = ({ problem, recovery, ...work }: BrokerStats["log"]): ReadonlyArray<Pair> => [
  broker.logProblem(problem === null ? 0 : 1),
  broker.appends(work.appends),
  broker.appendedBytes(work.appendedBytes),
  broker.syncs(work.syncs),
  ...(recovery === null
    ? []
    : [
        broker.recoveredRecords(recovery.records),
        broker.recoveredBytes(recovery.bytes),
        broker.tornBytes(recovery.tornBytes),
        broker.recoverySeconds(recovery.durationMs / 1_000)
      ])
]

const brokerPairs = (stats: BrokerStats): ReadonlyArray<Pair> => [
  broker.appended(stats.nextOffset),
  broker.logBytes(stats.logBytes),
  broker.oldest(stats.oldestOffset),
  broker.next(stats.nextOffset),
  broker.waiting(stats.waitingRecords),
  broker.fullSeconds((stats.fullForMs ?? 0) / 1_000),
  broker.producers(stats.producers.length),
  broker.subscribers(stats.subscribers.length),
  broker.gaps(stats.gaps.count),
  broker.missed(stats.gaps.messages),
  ...logPairs(stats.log),
  ...stats.subscribers.flatMap(({ subscriberId: subscriber, currentOffset, checkpoint, messagesMissed }) => [
    broker.subscriberLag(stats.nextOffset - currentOffset, { subscriber }),
    ...(checkpoint === null ? [] : [broker.subscriberPending(currentOffset - checkpoint, { subscriber })]),
    broker.subscriberGaps(messagesMissed, { subscriber })
  ]),
  ...stats.checkpoints.map(({ subscriberId: subscriber, offset }) =>
    broker.checkpointLag(stats.nextOffset - offset, { subscriber })
  )
]

/** Metrics of the broker. */
export const layerBroker: Layer.Layer<never, never, Broker> = read(
  Effect.map(Broker, ({ stats }) => whileUp(stats, broker.up, brokerPairs))
)

/** Metrics of the server that peers of the broker connect to. */
export const layerBrokerServer: Layer.Layer<never, never, BrokerServer> = read(
  Effect.map(BrokerServer, ({ figures }) =>
    Effect.map(figures, ({ errors, ...counted }) => [
      server.connections(counted.connections),
      server.subscriptions(counted.subscriptions),
      server.pendingBytes(counted.pendingBytes),
      server.accepted(counted.accepted),
      server.bytesRead(counted.bytesRead),
      server.bytesWritten(counted.bytesWritten),
      server.framesRead(counted.framesRead),
      ...Object.entries(errors).map(([error, count]) => server.errors(count, { error }))
    ])
  )
)

/** Metrics of the streamers of this process, each with its id. */
export const layerStreamers: Layer.Layer<never, never, Streamers> = read(
  Effect.map(Streamers, ({ progress }) =>
    Effect.map(progress, (streamers) =>
      streamers.flatMap(({ streamerId, rowsRead, samplesRead, batchesPublished }) => [
        streamer.rows(rowsRead, { streamer: streamerId }),
        streamer.samples(samplesRead, { streamer: streamerId }),
        streamer.batches(batchesPublished, { streamer: streamerId })
      ])
    )
  )
)

/** Metrics of the collectors of this process, each with its id. */
export const layerCollectors: Layer.Layer<never, never, Collectors> = read(
  Effect.map(Collectors, ({ progress }) =>
    Effect.map(progress, (collectors) =>
      collectors.flatMap(({ collectorId, ...progress }) => [
        collector.messages(progress.messagesReceived, { collector: collectorId }),
        collector.samples(progress.samplesStored, { collector: collectorId }),
        collector.refused(progress.samplesRefused, { collector: collectorId }),
        collector.missed(progress.messagesMissed, { collector: collectorId }),
        collector.checkpoint(progress.checkpoint, { collector: collectorId })
      ])
    )
  )
)

/** Metrics of the store. */
export const layerStore: Layer.Layer<never, never, TelemetryStore> = read(
  Effect.map(TelemetryStore, ({ stats }) =>
    whileUp(stats, store.up, ({ samples, gpus, evicted }) => [
      store.samples(samples),
      store.gpus(gpus),
      store.evicted(evicted)
    ])
  )
)

/** What this process rejected. */
export const layerRejects: Layer.Layer<never, never, Rejects> = read(
  Effect.map(Rejects, ({ byReason }) =>
    Effect.map(byReason, (reasons) => reasons.map(({ reason, count }) => rejects(count, { reason })))
  )
)

/** How long what is due waits for its turn now. */
const eventLoopLagSeconds = Effect.async<number>((resume) => {
  const startMs = performance.now()
  setImmediate(() => resume(Effect.succeed((performance.now() - startMs) / 1_000)))
})

/** Memory, CPU and event loop of this process, under the names that Prometheus' own clients give them. */
export const layerProcess: Layer.Layer<never> = read(
  Effect.map(Clock.currentTimeMillis, (nowMs): MetricSource => {
    const startSeconds = nowMs / 1_000 - process.uptime()
    return Effect.map(eventLoopLagSeconds, (lagSeconds) => {
      const { user, system } = process.cpuUsage()
      return [
        processMetrics.residentMemory(process.memoryUsage.rss()),
        processMetrics.cpu((user + system) / 1_000_000),
        processMetrics.start(startSeconds),
        processMetrics.eventLoopLag(lagSeconds)
      ]
    })
  })
)
