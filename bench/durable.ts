/**
 * Appends to the log on segments: acknowledged records per second with each way to sync, and how long opening a log takes.
 *
 * `npm run bench:durable`. Records of 1 KB, in groups, as the Broker makes them of what publishers have in flight. Beside them, in
 * the same run, stands the floor: a loop that writes the same number of bytes to a file and, where the log does, has them on the disk. Aims: half of the
 * floor with `always`; then a log with one large active segment, and one of many closed ones, are opened.
 */
import { closeSync, fdatasync, mkdtempSync, openSync, rmSync, write } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Layer } from "effect"
import * as Files from "../src/layers/Files.ts"
import { OffsetLog, type RecordRun } from "../src/layers/OffsetLog.ts"
import { layerSegments, SegmentLogConfig } from "../src/layers/offset-log/segments.ts"
import * as Scheduler from "../src/layers/Scheduler.ts"
import { ProducerId, SourcePosition, sequenceOf } from "../src/protocol/Log.ts"
import { machine, median, printAim, printTable } from "./Table.ts"

const payloadBytes = 1024
const groupSizes = [1, 32, 256] as const
const modes = ["always", "interval", "never"] as const
const rounds = 5
const roundMs = 400
/** What a record takes in the file beside its payload: header, producer, position. */
const overheadBytes = 24 + 5 + 5

const payload = Buffer.alloc(payloadBytes, 7)
const position = SourcePosition.make("row 1")

const runOf = (size: number, firstSequence: number): RecordRun => ({
  payloads: Array<Uint8Array>(size).fill(payload),
  producer: {
    id: ProducerId.make("bench"),
    firstSequence: sequenceOf(firstSequence),
    positions: Array<SourcePosition>(size).fill(position)
  }
})

const inFolder = <A>(use: (directory: string) => Promise<A>): Promise<A> => {
  const directory = mkdtempSync(join(tmpdir(), "bench-durable-"))
  return use(directory).finally(() => rmSync(directory, { recursive: true, force: true }))
}

type Mode = (typeof modes)[number]

const withLog = <A>(
  directory: string,
  config: Partial<SegmentLogConfig["Type"]>,
  use: (log: OffsetLog["Type"]) => Effect.Effect<A, unknown>
): Promise<A> =>
  Effect.flatMap(OffsetLog, use).pipe(
    Effect.provide([
      Layer.provide(layerSegments, [SegmentLogConfig.layer({ directory, ...config }), Files.layerNode]),
      Scheduler.layer
    ]),
    Effect.runPromise
  )

/** Records per second of appends one after the other, for a while. */
const appendFor = (log: OffsetLog["Type"], size: number, ms: number, numbering: { next: number }) =>
  Effect.gen(function* () {
    const startMs = performance.now()
    let records = 0
    while (performance.now() - startMs < ms) {
      yield* log.append([runOf(size, numbering.next)])
      numbering.next += size
      records += size
    }
    return (records / (performance.now() - startMs)) * 1_000
  })

const called = (start: (callback: (cause: Error | null) => void) => void): Promise<void> =>
  new Promise((resolve, reject) => start((cause) => (cause === null ? resolve() : reject(cause))))

/** Records per second of a loop that writes as many bytes, synced after each group where asked for. */
const rawFor = async (file: number, size: number, ms: number, syncs: boolean): Promise<number> => {
  const group = Buffer.alloc(size * (payloadBytes + overheadBytes) + 48, 7)
  const startMs = performance.now()
  let records = 0
  while (performance.now() - startMs < ms) {
    await called((callback) => write(file, group, callback))
    if (syncs) await called((callback) => fdatasync(file, callback))
    records += size
  }
  return (records / (performance.now() - startMs)) * 1_000
}

/** Medians of rounds in which log and floor take turns. */
const compare = (mode: Mode, size: number) =>
  inFolder((directory) =>
    withLog(join(directory, "log"), { fsync: mode }, (log) =>
      Effect.gen(function* () {
        const raw = openSync(join(directory, "raw"), "w")
        const figures: { log: Array<number>; raw: Array<number> } = { log: [], raw: [] }
        const numbering = { next: 0 }
        yield* appendFor(log, size, roundMs, numbering)
        for (let round = 0; round < rounds; round++) {
          figures.raw.push(yield* Effect.promise(() => rawFor(raw, size, roundMs, mode === "always")))
          figures.log.push(yield* appendFor(log, size, roundMs, numbering))
        }
        closeSync(raw)
        return { log: median(figures.log), raw: median(figures.raw) }
      })
    )
  )

const rate = (figure: number): string => Math.round(figure).toLocaleString("en")

const appends = async () => {
  const rows: Array<ReadonlyArray<string>> = []
  const shares = new Map<string, number>()
  for (const mode of modes) {
    for (const size of groupSizes) {
      const { log, raw } = await compare(mode, size)
      rows.push([`${mode}, groups of ${size}`, rate(log), rate(raw), (log / raw).toFixed(2)])
      shares.set(`${mode} ${size}`, log / raw)
    }
  }
  console.log(`records of ${payloadBytes} bytes acknowledged per second (${machine()}):`)
  printTable(["", "log", "raw loop", "share"], rows)
  printAim("share of the raw loop, always, groups of 256", shares.get("always 256")!, "at least", 0.5)
}

/** Fills a log, leaves it as a kill does or closed, and opens it again. */
const opening = (mebibytes: number, segmentMebibytes: number) =>
  inFolder(async (directory) => {
    const config = {
      fsync: "never",
      segmentBytes: segmentMebibytes * 1024 * 1024,
      segmentMs: Infinity
    } as const
    const size = 256
    const appends = Math.ceil((mebibytes * 1024) / size)
    const run = runOf(size, 0)
    await withLog(directory, config, (log) =>
      Effect.forEach(Array(appends).fill(run), (run) => log.append([run]), { discard: true })
    )
    const startMs = performance.now()
    let openedMs = 0
    await withLog(directory, config, (log) =>
      Effect.map(log.stats, ({ recovery }) => {
        openedMs = performance.now() - startMs
        if (recovery?.records !== appends * size) throw new Error("records are missing")
      })
    )
    return openedMs
  })

const openings = async () => {
  const active = 640
  const closed = 2_048
  const activeMs = await opening(active, 10_000)
  const closedMs = await opening(closed, 64)
  console.log("opening, with the files in the page cache:")
  printTable(
    ["", "ms"],
    [
      [`one active segment of ${active} MiB, every byte of it checked`, activeMs.toFixed(0)],
      [`closed segments of 64 MiB, ${closed} MiB in all, by their indexes`, closedMs.toFixed(0)]
    ]
  )
}

await appends()
await openings()
