/** What the Streamer decides, as stories. */
import { describe, expect, it } from "@effect/vitest"
import { type StreamerRequest, streamerStepper } from "../../src/actors/Streamer.ts"
import { type SourcePosition, sequenceOf } from "../../src/protocol/Log.ts"
import type { StreamerFact } from "../../src/protocol/StreamerFact.ts"
import { Story } from "./Story.ts"

const input = {
  batchSize: 10,
  collectIntervalMs: 500,
  windowBatches: 2,
  windowBytes: 1_000,
  readRowsMax: 10,
  retryDelayMsMin: 100,
  retryDelayMsMax: 300
}
const streamer = () => new Story(streamerStepper, streamerStepper.initial(input))

const resumed = (lastSequence: number | null, row: string | null = null): StreamerFact => ({
  type: "ProducerResumed",
  lastSequence: lastSequence === null ? null : sequenceOf(lastSequence),
  lastPosition: row as SourcePosition | null
})
const sealed = (firstSequence: number, count: number, samples: number, bytes = samples): StreamerFact => ({
  type: "BatchesSealed",
  firstSequence: sequenceOf(firstSequence),
  count,
  samples,
  bytes
})
const acknowledged = (next: number): StreamerFact => ({
  type: "BatchesAcknowledged",
  next: sequenceOf(next)
})
const rowsRead = (samples: number): StreamerRequest => ({ type: "RowsRead", samples })
const timeUp: StreamerRequest = { type: "TimerFired", timer: "collect" }
const opened: StreamerRequest = { type: "SourceOpened" }

const record = (fact: StreamerFact) => ({ type: "record" as const, params: { fact } })
const seal = (firstSequence: number, samples: number) => ({
  type: "sealBatches" as const,
  params: { firstSequence: sequenceOf(firstSequence), samples, batchSize: 10 }
})
const publish = (connection: number, firstSequence: number, next: number) => ({
  type: "publishBatches" as const,
  params: { connection, firstSequence: sequenceOf(firstSequence), next: sequenceOf(next) }
})
const forget = (next: number) => ({ type: "forgetBatches" as const, params: { next: sequenceOf(next) } })
const arm = (timer: "collect" | "retry", delayMs: number) => ({
  type: "armTimer" as const,
  params: { timer, delayMs }
})
const disarm = { type: "disarmTimer" as const, params: { timer: "collect" as const } }
const read = { type: "readSource" as const, params: { rowsMax: 10 } }
const finish = { type: "finish" as const, params: undefined }
const hello = (connection: number) => ({ type: "sayHello" as const, params: { connection } })

/** One that is new to the broker and has its source open. */
const streaming = () => streamer().given(resumed(null), opened)

describe("a streamer", () => {
  it("goes on behind what the log has of it", () => {
    streamer()
      .then(hello(1))
      .when({ type: "HelloAnswered", connection: 1, lastSequence: sequenceOf(6), lastPosition: null })
      .then(record(resumed(6)))
      .when(resumed(6, "row 70"))
      .then(forget(7), { type: "openSource", params: { position: "row 70" as SourcePosition } })
      .when(opened)
      .then(read)
      .when(rowsRead(10))
      .then(seal(7, 10))
  })

  it("seals a batch when it is full, publishes it, and reads on meanwhile", () => {
    streaming()
      .when(rowsRead(4))
      .then(arm("collect", 500), read)
      .when(rowsRead(7))
      .then(disarm, arm("collect", 500), seal(0, 10))
      .when(sealed(0, 1, 10))
      .then(publish(1, 0, 1), read)
  })

  it("seals what there is when its time is up, or the source has ended", () => {
    streaming().given(rowsRead(4)).when(timeUp).then(seal(0, 4))
    streaming()
      .given(rowsRead(4))
      .when({ type: "SourceExhausted" })
      .then(record({ type: "SourceEnded" }))
      .when({ type: "SourceEnded" })
      .then(disarm, seal(0, 4))
      .when(sealed(0, 1, 4))
      .then(publish(1, 0, 1))
      .when({ type: "PublishAnswered", next: sequenceOf(1) })
      .then(record(acknowledged(1)))
      .when(acknowledged(1))
      .then(forget(1), finish)
  })

  it("seals what it has read when it is drained, once the read that is under way has ended", () => {
    streaming()
      .given(rowsRead(4))
      .when({ type: "Drain" })
      .then({ type: "stopReading", params: undefined })
      .when(rowsRead(1))
      .then(disarm, seal(0, 5))
      .given(sealed(0, 1, 5))
      .when(acknowledged(1))
      .then(forget(1), finish)
  })

  it("is done at once when it is drained before it has read anything", () => {
    streamer().when({ type: "Drain" }).then(finish)
  })

  it("pauses its source while the window is closed, by batches or by bytes", () => {
    streaming()
      .given(rowsRead(10), sealed(0, 1, 10), rowsRead(10))
      .when(sealed(1, 1, 10))
      .then(publish(1, 1, 2))
      .when(acknowledged(1))
      .then(forget(1), read)
    streaming()
      .given(rowsRead(10))
      .when(sealed(0, 1, 10, 1_000))
      .then(publish(1, 0, 1))
      .when(acknowledged(1))
      .then(forget(1), read)
  })

  it("keeps what was read while the window is closed, and seals no more than the window holds", () => {
    streaming()
      .given(rowsRead(10), sealed(0, 1, 10), rowsRead(10), sealed(1, 1, 10))
      .when(rowsRead(25))
      .then(arm("collect", 500))
      .when(acknowledged(1))
      .then(forget(1), disarm, arm("collect", 500), seal(2, 10))
  })

  it("that lost an answer asks the broker, and sends again only what the log lacks", () => {
    streaming()
      .given(rowsRead(10), sealed(0, 1, 10), rowsRead(10), sealed(1, 1, 10))
      .when({ type: "PublishFailed", connection: 1 })
      .then(arm("retry", 100))
      .when({ type: "TimerFired", timer: "retry" })
      .then(hello(2))
      .when({ type: "HelloAnswered", connection: 1, lastSequence: null, lastPosition: null })
      .then()
      .when({ type: "HelloAnswered", connection: 2, lastSequence: sequenceOf(0), lastPosition: null })
      .then(record(resumed(0)))
      .when(resumed(0))
      .then(forget(1), publish(2, 1, 2), read)
      .when({ type: "PublishFailed", connection: 1 })
      .then()
      .when({ type: "PublishAnswered", next: sequenceOf(1) })
      .then()
  })

  it("ends where the log has lost what it had acknowledged: only a new start reads that again", () => {
    streaming()
      .given(rowsRead(10), sealed(0, 1, 10), acknowledged(1), { type: "PublishFailed", connection: 1 })
      .given(rowsRead(10), sealed(1, 1, 10), { type: "TimerFired", timer: "retry" })
      .given({ type: "HelloAnswered", connection: 2, lastSequence: sequenceOf(0), lastPosition: null })
      .given(resumed(0), acknowledged(2), { type: "PublishFailed", connection: 2 })
      .given({ type: "TimerFired", timer: "retry" })
      .when({ type: "HelloAnswered", connection: 3, lastSequence: sequenceOf(0), lastPosition: null })
      .then({
        type: "fail",
        params: {
          problem:
            "the broker's log has lost batches that it had acknowledged; a streamer that starts again reads them again"
        }
      })
  })

  it("waits twice as long after every attempt that fails, up to a limit, and as short as ever after a good one", () => {
    const story = streamer()
    for (const [attempt, delayMs] of [100, 200, 300, 300].entries()) {
      story
        .when({ type: "HelloFailed", connection: attempt + 1 })
        .then(arm("retry", delayMs))
        .given({ type: "TimerFired", timer: "retry" })
    }
    story.given(resumed(null)).when({ type: "PublishFailed", connection: 5 }).then(arm("retry", 100))
  })

  it("goes on reading and sealing while the broker is out of reach, within its window", () => {
    streaming()
      .given({ type: "PublishFailed", connection: 1 })
      .when(rowsRead(10))
      .then(seal(0, 10))
      .when(sealed(0, 1, 10))
      .then(read)
  })

  it("fails where the log has sequences that it never gave: another one publishes under its id", () => {
    streaming()
      .given(rowsRead(10), sealed(0, 1, 10), { type: "PublishFailed", connection: 1 })
      .given({ type: "TimerFired", timer: "retry" })
      .when({ type: "HelloAnswered", connection: 2, lastSequence: sequenceOf(1), lastPosition: null })
      .then({ type: "fail", params: { problem: "another streamer publishes under the same id" } })
  })

  it("fails where its batches are refused for good, or its source fails", () => {
    const refused = streaming()
      .when({ type: "PublishRefused", connection: 1, problem: "fenced" })
      .then({ type: "fail", params: { problem: "fenced" } })
    expect(refused.snapshot.value).toBe("failed")
    streaming()
      .when({ type: "SourceFailed", problem: "no such file" })
      .then({ type: "fail", params: { problem: "no such file" } })
  })
})
