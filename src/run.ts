/**
 * What `run` does once the pipeline stands: says what runs where, shows progress, ends when it should, and says how it
 * went.
 */
import { Duration, Effect, Logger, Schedule, Schema } from "effect"
import type { RunOptions } from "./cli.ts"
import { BrokerHttpAddress } from "./http/BrokerHttp.ts"
import { GatewayAddress } from "./http/Gateway.ts"
import { Collectors } from "./layers/Collectors.ts"
import { Draining } from "./layers/Draining.ts"
import { Rejects } from "./layers/Rejects.ts"
import { Streamers } from "./layers/Streamers.ts"
import { formatDuration } from "./layers/settings/duration.ts"
import type { RunSettings, StoreSettings } from "./layers/settings/run.ts"
import { TelemetryStore } from "./layers/TelemetryStore.ts"
import type { RejectReason } from "./protocol/Reject.ts"
import { hasStatusLine, print, rewriteStatus } from "./terminal.ts"

/** Samples that were read are not in the store: it refused them or had no room, or the log dropped them before. */
export class ImportIncomplete extends Schema.TaggedError<ImportIncomplete>()("ImportIncomplete", {
  refused: Schema.Number,
  evicted: Schema.Number,
  /** Messages, each of many samples. */
  missed: Schema.Number,
  /** Whether some were older than the store keeps. */
  someTooOld: Schema.Boolean
}) {
  override get message(): string {
    const { refused, evicted } = this
    const missed = this.missed === 0 ? "" : `, ${this.missed} messages dropped from the log before they were`
    const hint = this.someTooOld
      ? "; RETENTION_PERIOD (--retention-period none) lets it keep what is older"
      : ""
    return `not everything read is stored: ${refused} samples refused by the store, ${evicted} evicted from it${missed}${hint}`
  }
}

/** Between two rewrites of the status line, and between two lines of a log. */
const statusInterval = Duration.millis(250)
const logInterval = Duration.seconds(30)
/** Between two looks at what was rejected. */
const rejectsInterval = Duration.seconds(5)

const count = (n: number): string => n.toLocaleString("en")

/** One by its id; of several how many, what each does, and their ids. */
const told = (ids: ReadonlyArray<string>, each: string): string => {
  if (ids.length === 1) return ids[0]!
  const named = ids.length <= 4 ? ids.join(", ") : `${ids[0]} to ${ids[ids.length - 1]}`
  return `${ids.length}, ${each}: ${named}`
}

/** What a store does not keep. */
const boundTold = (store: StoreSettings): string => {
  switch (store.kind) {
    case "memory":
      return `, at most ${count(store.samplesMax)} samples; log and store end with this process`
    case "file":
      return store.retentionMs === undefined
        ? ""
        : `, samples of the last ${formatDuration(store.retentionMs)}`
    case "influxdb":
      return ""
  }
}

const announce = (settings: RunSettings) =>
  Effect.gen(function* () {
    const { url } = yield* GatewayAddress
    const { source } = settings.source
    const { loop, timestamps } = settings.source
    const isShared = settings.streamer.shardBy === "host"
    const rate =
      settings.streamer.rate === "max" ? "as fast as it goes" : `${count(settings.streamer.rate)} rows/s`
    const what =
      source.kind === "csv"
        ? (source.path ?? "the sample that is shipped")
        : `a simulated fleet of ${source.hosts} hosts with ${source.gpusPerHost} GPUs each`
    print(`source     ${what}, ${loop ? "in a loop" : "once"}, ${rate}`)
    const streamers = (yield* (yield* Streamers).progress).map(({ streamerId }) => streamerId)
    const collectors = (yield* (yield* Collectors).progress).map(({ collectorId }) => collectorId)
    print(`streamers  ${told(streamers, isShared ? "each the rows of its hosts" : "each reads everything")}`)
    print(`collectors ${told(collectors, "each reads the whole log")}`)
    print(`store      ${(yield* TelemetryStore).description}${boundTold(settings.store)}`)
    print(`API        ${url}/api/v1/gpus`)
    print(`Swagger    ${url}/swagger/index.html`)
    print(`Broker     ${(yield* BrokerHttpAddress).url}/stats`)
    const { store } = settings
    if (store.kind !== "file" && store.unusedFolder !== undefined) {
      print(`note       with STORAGE_TYPE ${store.kind} nothing is kept in ${store.unusedFolder}`)
    }
    if (source.kind === "csv" && loop && timestamps === "original") {
      print(
        "note       with --timestamps original, every pass after the first stores the same samples again: nothing new"
      )
    }
    if (!isShared && streamers.length > 1) {
      print(
        `note       with --shard-by none, every row is read ${streamers.length} times, and stored ` +
          (timestamps === "now" ? "as often, each time with a time of its own" : "once")
      )
    }
  })

const progressLine = Effect.gen(function* () {
  const streamers = yield* (yield* Streamers).progress
  const collectors = yield* (yield* Collectors).progress
  const rejects = yield* (yield* Rejects).total
  const rows = streamers.reduce((sum, { rowsRead }) => sum + rowsRead, 0)
  const batches = streamers.reduce((sum, { batchesPublished }) => sum + batchesPublished, 0)
  // Every collector stores everything: what all of them have is what the one that is behind has.
  const stored = Math.min(...collectors.map(({ samplesStored }) => samplesStored))
  const by = collectors.length === 1 ? "" : ` by each of ${collectors.length} collectors`
  const missed = Math.max(...collectors.map(({ messagesMissed }) => messagesMissed))
  return (
    `rows read ${count(rows)}, batches published ${count(batches)}, samples stored ${count(stored)}${by}, ` +
    `rejects ${count(rejects)}${missed === 0 ? "" : `, messages missed ${count(missed)}`}`
  )
})

const showProgress = hasStatusLine
  ? Effect.flatMap(progressLine, (line) => Effect.sync(() => rewriteStatus(line))).pipe(
      Effect.repeat(Schedule.spaced(statusInterval)),
      Effect.ensuring(Effect.sync(() => rewriteStatus("")))
    )
  : Effect.sleep(logInterval).pipe(
      Effect.zipRight(progressLine),
      Effect.flatMap(Effect.logInfo),
      Effect.forever
    )

/** Says in the log what was rejected since the last time, a line per reason and not one per row. */
const logRejects = Effect.gen(function* () {
  const rejects = yield* Rejects
  const told = new Map<RejectReason, number>()
  const tell = Effect.flatMap(rejects.byReason, (byReason) =>
    Effect.forEach(
      byReason.filter(({ reason, count: n }) => n > (told.get(reason) ?? 0)),
      ({ reason, count: n, recent }) => {
        const more = n - (told.get(reason) ?? 0)
        told.set(reason, n)
        const { origin, input } = recent[recent.length - 1]!
        return Effect.logWarning(
          `rejected ${count(more)} as ${reason}, the last at ${origin}: ${input.slice(0, 120)}`
        )
      }
    )
  )
  yield* Effect.repeat(tell, Schedule.spaced(rejectsInterval))
})

const tellRejects = Effect.gen(function* () {
  for (const { reason, count: n, recent } of yield* (yield* Rejects).byReason) {
    const last = recent[recent.length - 1]!
    print(`rejected ${reason}: ${count(n)}, the last at ${last.origin}`)
  }
})

/** Everything that the source gave is stored; how it went is told, and is a failure where something is missing. */
const finishImport = (store: StoreSettings) =>
  Effect.gen(function* () {
    yield* (yield* Streamers).done
    yield* (yield* Collectors).drain
    print(yield* progressLine)
    yield* tellRejects
    const collectors = yield* (yield* Collectors).progress
    // Every collector is refused the same samples; what one has missed another may have stored, but nobody knows.
    const refused = Math.max(...collectors.map(({ samplesRefused }) => samplesRefused))
    const missed = Math.max(...collectors.map(({ messagesMissed }) => messagesMissed))
    // What becomes too old where age alone is a bound, was stored and has had its time.
    const evicted = store.kind === "memory" ? (yield* (yield* TelemetryStore).stats).evicted : 0
    if (refused + evicted + missed > 0) {
      const reasons = yield* (yield* Rejects).byReason
      const someTooOld = reasons.some(({ reason }) => reason === "older_than_retention")
      return yield* new ImportIncomplete({ refused, evicted, missed, someTooOld })
    }
  })

/** Ends when a streamer or a collector can't go on; else never. */
const untilFailure = Effect.gen(function* () {
  const collectors = yield* Collectors
  const streamers = yield* Streamers
  return yield* Effect.raceFirst(Effect.zipRight(streamers.done, Effect.never), collectors.failed)
})

/**
 * Publishes and stores what was read. The layers do that too when they close, but only here can the exit code tell that it
 * did not work. It has a limit: what hangs must not keep the process.
 */
const drain = (drainTimeoutMs: number) =>
  Effect.gen(function* () {
    yield* (yield* Draining).begin
    rewriteStatus("")
    print("stopping: storing what was read; once more ends at once")
    setTimeout(() => {
      print(`stopping took longer than ${drainTimeoutMs} ms (DRAIN_TIMEOUT): what was not stored is lost`)
      process.exit(1)
    }, drainTimeoutMs).unref()
    yield* (yield* Streamers).drain
    yield* (yield* Collectors).drain
    print(yield* progressLine)
  }).pipe(
    Effect.catchAll(({ message }) =>
      Effect.sync(() => {
        print(`not everything that was read is stored: ${message}`)
        process.exitCode = 1
      })
    )
  )

/** Runs until the source is stored (`once`), until something fails, or until it is interrupted. */
export const run = (settings: RunSettings, { once, serve }: RunOptions) =>
  Effect.gen(function* () {
    yield* announce(settings)
    yield* Effect.forkScoped(showProgress)
    yield* Effect.forkScoped(logRejects)
    if (once) yield* Effect.raceFirst(finishImport(settings.store), (yield* Collectors).failed)
    if (!once || serve) return yield* untilFailure
  }).pipe(
    Effect.scoped,
    Effect.onInterrupt(() => drain(settings.process.drainTimeoutMs)),
    Logger.withMinimumLogLevel(settings.process.logLevel)
  )
