/**
 * Append: nanoseconds per record through the embedded Broker, over a log in memory that retention drops from.
 *
 * `npm run bench:log`. A producer's session publishes batches of 1, 100 and 1,000 records, each
 * awaited before the next and with several in flight. Beside them, in the same run, stand the floors: the log's append
 * alone, and the two steps of the Broker machine alone. Then batches of 1,000 go on to 10 million records. Aims: under
 * 100 ns per record in batches of 1,000, and the last million as fast as the first.
 */
import { Effect, Layer } from "effect"
import { brokerStepper } from "../src/actors/Broker.ts"
import { Broker, type ProducerSession } from "../src/layers/Broker.ts"
import { BrokerConfig, layerEmbedded } from "../src/layers/broker/embedded.ts"
import * as Journal from "../src/layers/journal/memory.ts"
import { describeRun, OffsetLog, type RecordRun, runBytes } from "../src/layers/OffsetLog.ts"
import { layerMemory, MemoryLogConfig } from "../src/layers/offset-log/memory.ts"
import * as Rejects from "../src/layers/Rejects.ts"
import * as Scheduler from "../src/layers/Scheduler.ts"
import { segmentsPerRetention } from "../src/protocol/Limits.ts"
import { type Offset, offsetOf, ProducerId, SourcePosition, sequenceOf } from "../src/protocol/Log.ts"
import { machine, median, printAim, printTable } from "./Table.ts"

const retentionBytes = 64 * 1024 * 1024
const payloadBytes = 256
const batchSizes = [1, 100, 1_000] as const
const warmUpRounds = 3
const rounds = 5
const batchesPerRound = 1_000
const publishesInFlight = 8
const million = 1_000_000
const millions = Number(process.argv[2] ?? 10)
const producerId = ProducerId.make("bench")

/** Payloads and positions are the publisher's: made once, so that what is measured is the log's own doing. */
const payload = new Uint8Array(payloadBytes)
const position = SourcePosition.make("row 1")
const payloadsOf = new Map(batchSizes.map((size) => [size as number, Array<Uint8Array>(size).fill(payload)]))
const positionsOf = new Map(
  batchSizes.map((size) => [size as number, Array<SourcePosition>(size).fill(position)])
)

const runOf = (size: number, firstSequence: number): RecordRun => ({
  payloads: payloadsOf.get(size)!,
  producer: {
    id: producerId,
    firstSequence: sequenceOf(firstSequence),
    positions: positionsOf.get(size)!
  }
})

/** Appends `batches` batches of `size` records. */
type Append = (batches: number, size: number) => Effect.Effect<void, unknown>

/** The log alone, dropping its oldest segments as the Broker would. */
const logAlone = (log: OffsetLog["Type"]): Append => {
  let nextSequence = 0
  let bytes = 0
  return (batches, size) =>
    Effect.gen(function* () {
      for (let batch = 0; batch < batches; batch++) {
        const run = runOf(size, nextSequence)
        bytes += runBytes(run)
        if (bytes > retentionBytes) {
          const { segments } = yield* log.bounds
          bytes = (yield* log.dropBefore(segments[0]!.next)).bytes
        }
        yield* log.append([run])
        nextSequence += size
      }
    })
}

/** What the Broker machine does per batch, and nothing else: the step of the request and that of the fact. */
const stepsAlone = (): Append => {
  let next = 0
  const bounds = { oldest: offsetOf(0), next: offsetOf(0), bytes: 0, segments: [] }
  const policy = { ...BrokerConfig.defaults, retentionBytes: Number.MAX_SAFE_INTEGER }
  let [snapshot] = brokerStepper.initial({ policy, nowMs: 0, bounds })
  return (batches, size) =>
    Effect.sync(() => {
      for (let batch = 0; batch < batches; batch++) {
        const run = runOf(size, next)
        const described = describeRun(offsetOf(next), run)
        const producer = { id: producerId, firstSequence: sequenceOf(next) }
        const sized = { count: size, bytes: described.bytes, producer }
        const published = { group: run, index: 0, session: 0, whenFull: "wait" as const, ...sized }
        ;[snapshot] = brokerStepper.step(snapshot, { type: "Publish", runs: [published] })
        ;[snapshot] = brokerStepper.step(snapshot, { type: "BatchesAppended", runs: [described] })
        next += size
      }
    })
}

/** A session's `publish`, `inFlight` of them at a time. */
const publishing = (session: ProducerSession, inFlight: number, numbering: { next: number }): Append => {
  const publishNext = (size: number) =>
    Effect.suspend(() => {
      const firstSequence = sequenceOf(numbering.next)
      numbering.next += size
      return session.publish({
        firstSequence,
        payloads: payloadsOf.get(size)!,
        positions: positionsOf.get(size)!
      })
    })
  return (batches, size) => {
    let left = batches
    const publisher = Effect.whileLoop({
      while: () => left-- > 0,
      body: () => publishNext(size),
      step: () => {}
    })
    return Effect.all(
      Array.from({ length: inFlight }, () => publisher),
      { concurrency: inFlight, discard: true }
    )
  }
}

/**
 * Nanoseconds of this process, its collector's threads included, per record: they hold still on a busy machine. No garbage
 * collection is forced in between: publishing took half as long again between such collections.
 */
const timed = (append: Append, batches: number, size: number) =>
  Effect.gen(function* () {
    const before = process.cpuUsage()
    yield* append(batches, size)
    const { user, system } = process.cpuUsage(before)
    return ((user + system) * 1_000) / (batches * size)
  })

/** Every way of appending in turns, so that a noisy machine is noisy to all; answers each one's median. */
const compare = (ways: ReadonlyArray<readonly [name: string, append: Append]>) =>
  Effect.gen(function* () {
    const figures = new Map<string, ReadonlyArray<number>>()
    for (const size of batchSizes) {
      const measured = ways.map((): Array<number> => [])
      for (let round = 0; round < warmUpRounds + rounds; round++) {
        for (const [index, [, append]] of ways.entries()) {
          const nanos = yield* timed(append, batchesPerRound, size)
          if (round >= warmUpRounds) measured[index]!.push(nanos)
        }
      }
      for (const [index, [name]] of ways.entries()) {
        figures.set(name, [...(figures.get(name) ?? []), median(measured[index]!)])
      }
    }
    return figures
  })

const nanos = (figure: number): string => (figure < 100 ? figure.toFixed(1) : figure.toFixed(0))

const flatness = (append: Append) =>
  Effect.gen(function* () {
    const perMillion: Array<number> = []
    for (let index = 0; index < millions; index++) {
      perMillion.push(yield* timed(append, million / 1_000, 1_000))
    }
    console.log(`  ns per record, by the million: ${perMillion.map(nanos).join(" ")}`)
    printAim("last million / first", perMillion.at(-1)! / perMillion[0]!, "at most", 1.2)
  })

const program = Effect.gen(function* () {
  const broker = yield* Broker
  const session = yield* broker.hello(producerId)
  const numbering = { next: 0 }
  const oneByOne = publishing(session, 1, numbering)
  const figures = yield* compare([
    ["floor: OffsetLog.append", logAlone(yield* OffsetLog)],
    ["floor: two machine steps", stepsAlone()],
    ["publish, one by one", oneByOne],
    [`publish, ${publishesInFlight} in flight`, publishing(session, publishesInFlight, numbering)]
  ])
  console.log(`append of records of ${payloadBytes} bytes, ns per record (${machine()}):`)
  const floors = batchSizes.map((_, index) =>
    [...figures].reduce((sum, [name, nanos]) => (name.startsWith("floor") ? sum + nanos[index]! : sum), 0)
  )
  printTable(
    ["batches of", ...batchSizes.map((size) => size.toLocaleString("en"))],
    [
      ...[...figures].map(([name, row]) => [name, ...row.map(nanos)]),
      ...[...figures].flatMap(([name, row]) =>
        name.startsWith("floor")
          ? []
          : [[`${name}, of both floors`, ...row.map((figure, i) => (figure / floors[i]!).toFixed(2))]]
      )
    ]
  )
  printAim("ns per record at 1,000, one by one", figures.get("publish, one by one")!.at(-1)!, "at most", 100)
  yield* flatness(oneByOne)
  const { nextOffset, oldestOffset } = yield* broker.stats
  const retained: Offset | number = nextOffset - oldestOffset
  console.log(
    `  ${nextOffset.toLocaleString("en")} records appended, ${retained.toLocaleString("en")} retained`
  )
})

const memoryLog = layerMemory.pipe(
  Layer.provide(MemoryLogConfig.layer({ segmentBytes: Math.ceil(retentionBytes / segmentsPerRetention) }))
)
/** The Broker over a log of its own; the one beside it is for the floor. */
const embedded = layerEmbedded.pipe(
  Layer.provide([
    Layer.fresh(memoryLog),
    Journal.layerMemory,
    Rejects.layer,
    BrokerConfig.layer({ retentionBytes })
  ])
)

await program.pipe(
  Effect.scoped,
  Effect.provide([embedded, memoryLog]),
  Effect.provide(Scheduler.layer),
  Effect.runPromise
)
