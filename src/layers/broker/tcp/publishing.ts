/** Publishing over a connection: in the order of the calls, many frames on their way, a budget of bytes without an answer. */
import { Effect } from "effect"
import {
  frameBytesMax,
  publishFrameBytes,
  publishPendingBytesMin,
  sessionPendingBytesMax
} from "../../../protocol/Limits.ts"
import type { PlacedRun, ProducerId, Sequence } from "../../../protocol/Log.ts"
import { encodePublish, publishOverhead } from "../../../protocol/wire/BinaryFrames.ts"
import { type BrokerUnavailable, type PublishReceipt, PublishRefused } from "../../Broker.ts"
import * as SessionBudget from "../SessionBudget.ts"
import { unavailable } from "./connecting.ts"
import { type Link, type LinkAnswer, wordsOf } from "./Link.ts"

/** Records of one call, in their order. Without a first sequence no producer publishes them. */
export interface Records {
  readonly payloads: ReadonlyArray<Uint8Array>
  readonly positions: ReadonlyArray<string | null>
  readonly firstSequence: Sequence | null
}

type PublishFailure = PublishRefused | BrokerUnavailable

const recordBytes = ({ payloads, positions }: Records, index: number): number =>
  publishOverhead.recordBytes + payloads[index]!.length + Buffer.byteLength(positions[index] ?? "")

const slice = ({ payloads, positions, firstSequence }: Records, from: number, to: number): Records => ({
  payloads: payloads.slice(from, to),
  positions: positions.slice(from, to),
  firstSequence: firstSequence === null ? null : ((firstSequence + from) as Sequence)
})

interface Cut {
  readonly frames: ReadonlyArray<Records>
  readonly bytes: number
  /** Behind them comes a record that is too long for a frame: it and what follows is not sent. */
  readonly isShort: boolean
}

/** How records become frames. */
interface Framing {
  /** Size up to which records share a frame; 0 where each has one of its own. */
  readonly sharedBytes: number
  /** What a frame takes beside its records, at most. */
  readonly overheadBytes: number
}

/** Cuts records into frames of a good size, or of one record. */
const cutRecords = (records: Records, { sharedBytes, overheadBytes }: Framing): Cut => {
  const frames: Array<Records> = []
  let from = 0
  let frameBytes = overheadBytes
  let bytes = 0
  const { length } = records.payloads
  for (let index = 0; index < length; index++) {
    const next = recordBytes(records, index)
    const isTooLong = overheadBytes + next > frameBytesMax
    if (index > from && (isTooLong || frameBytes + next > sharedBytes)) {
      frames.push(slice(records, from, index))
      from = index
      frameBytes = overheadBytes
    }
    if (isTooLong) return { frames, bytes, isShort: true }
    frameBytes += next
    bytes += next
  }
  if (from < length) frames.push(from === 0 ? records : slice(records, from, length))
  return { frames, bytes, isShort: false }
}

const tooLong = (placed: ReadonlyArray<PlacedRun>): PublishRefused =>
  new PublishRefused({ reason: "too_large", problem: "larger than a frame may be", placed })

const reasons: ReadonlySet<string> = new Set(PublishRefused.fields.reason.literals)

/** What a refusal says, by the name of its reason. */
const refusal = (code: string, problem: string, placed: ReadonlyArray<PlacedRun>): PublishFailure =>
  reasons.has(code)
    ? new PublishRefused({ reason: code as PublishRefused["reason"], problem, placed })
    : unavailable(problem)

/** Where the records of a call are so far, or why they are not. */
class Outcome {
  readonly placed: Array<PlacedRun> = []
  failure: PublishFailure | undefined

  /** Takes in the answer to the next frame of the call. */
  add(answer: LinkAnswer): void {
    if (this.failure !== undefined) return
    if (answer.type === "placed" || answer.type === "refused") {
      this.placed.push(...(answer.placed as ReadonlyArray<PlacedRun>))
      if (answer.type === "refused") this.failure = refusal(answer.code, answer.problem, this.placed)
    } else if (answer.type === "error") this.failure = refusal(answer.code, wordsOf(answer), this.placed)
    else if (answer.type === "ended") this.failure = unavailable(answer.problem)
    else {
      const { offset, duplicate: isDuplicate } = answer
      this.placed.push({ count: 1, firstOffset: (offset ?? null) as PlacedRun["firstOffset"], isDuplicate })
    }
  }

  get result(): Effect.Effect<PublishReceipt, PublishFailure> {
    if (this.failure !== undefined) return Effect.fail(this.failure)
    const { placed } = this
    const duplicates = placed.reduce((sum, { isDuplicate, count }) => sum + (isDuplicate ? count : 0), 0)
    return Effect.succeed({ duplicates, firstOffset: placed[0]?.firstOffset ?? null, placed })
  }
}

/** Sends one of the frames of a call. */
type SendFrame = (frame: Records, answered: (answer: LinkAnswer) => void) => void

/** As records of nobody, or of the producer that said hello on the connection. */
const binary =
  (link: Link): SendFrame =>
  (frame, answered) =>
    link.requestFrame((correlation) => encodePublish({ correlation, ...frame }), answered)

/** Sends all frames at once: what comes behind a refused one of a producer is refused too. */
const sendAll =
  (send: SendFrame) =>
  (frames: ReadonlyArray<Records>, answered: (answer: LinkAnswer) => void, done: () => void): void => {
    let waiting = frames.length
    for (const frame of frames) {
      send(frame, (answer) => {
        answered(answer)
        if (--waiting === 0) done()
      })
    }
  }

/** Sends a frame once the one before it is in the log: nothing else keeps it from overtaking a refused one. */
const sendInTurn =
  (send: SendFrame) =>
  (frames: ReadonlyArray<Records>, answered: (answer: LinkAnswer) => void, done: () => void): void => {
    const sendFrom = (index: number): void =>
      send(frames[index]!, (answer) => {
        answered(answer)
        if (answer.type !== "placed" || index + 1 === frames.length) done()
        else sendFrom(index + 1)
      })
    sendFrom(0)
  }

const publishBy = (framing: Framing, sendFrames: ReturnType<typeof sendAll>) => {
  const budget = SessionBudget.make(sessionPendingBytesMax)
  return (records: Records): Effect.Effect<PublishReceipt, PublishFailure> => {
    const { frames, bytes, isShort } = cutRecords(records, framing)
    const outcome = new Outcome()
    const complete = () => {
      if (isShort) outcome.failure ??= tooLong(outcome.placed)
      return outcome.result
    }
    if (frames.length === 0) return Effect.suspend(complete)
    let isSent = false
    return Effect.acquireUseRelease(
      Effect.sync(() => budget.enter(Math.max(bytes, publishPendingBytesMin))),
      ({ admitted, pass, leave }) =>
        Effect.zipRight(
          admitted,
          Effect.async<PublishReceipt, PublishFailure>((resume) => {
            isSent = true
            pass()
            sendFrames(
              frames,
              (answer) => outcome.add(answer),
              () => {
                leave()
                resume(complete())
              }
            )
          })
        ),
      // What is on its way takes its bytes until it is answered, whoever waits for it.
      ({ leave }) => Effect.sync(() => (isSent ? undefined : leave()))
    )
  }
}

const shared: Framing = { sharedBytes: publishFrameBytes, overheadBytes: publishOverhead.frameBytes }
/** In JSON, where a position and an id may take several times their length. */
const single: Framing = { sharedBytes: 0, overheadBytes: 8 * 1024 }

/** How the producer publishes that said hello on a connection. */
export const publishNumbered = (link: Link) => publishBy(shared, sendAll(binary(link)))

/** How records are published without a producer. */
export const publishAnonymous = (link: Link) => publishBy(shared, sendInTurn(binary(link)))

/** How a producer publishes that said no hello: each record names it. */
export const publishNamed = (link: Link, producerId: ProducerId) =>
  publishBy(
    single,
    sendAll(({ payloads, positions, firstSequence }, answered) =>
      link.request(
        {
          type: "publish",
          payload: payloads[0]!,
          producerId,
          sequence: firstSequence!,
          position: positions[0] ?? undefined
        },
        answered
      )
    )
  )
