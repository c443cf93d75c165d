/**
 * Requests to a broker and their answers, over one connection: many may be on their way, each answer finds its request by the
 * correlation that it repeats. One callback each, no fiber.
 */

import {
  decodeAnswer,
  type ErrorAnswer,
  type GapAnswer,
  type MessageAnswer,
  type ResponseAnswer
} from "../../../protocol/wire/AnswerDecoder.ts"
import {
  type BinaryMessages,
  type BinaryPlaced,
  type BinaryRefused,
  decodeBinaryAnswer,
  isBinary
} from "../../../protocol/wire/BinaryFrames.ts"
import { lengthBytes, writeUint32 } from "../../../protocol/wire/FrameReader.ts"
import { encodeRequest, type Request } from "../../../protocol/wire/Requests.ts"
import type { BrokerClientConfig } from "./Config.ts"
import { Transport } from "./Transport.ts"

/** The connection has ended before there was an answer. */
export interface Ended {
  readonly type: "ended"
  readonly problem: string
}

export type LinkAnswer = ResponseAnswer | ErrorAnswer | BinaryPlaced | BinaryRefused | Ended

/** What comes without being an answer. */
export interface LinkListener {
  readonly messages: (messages: BinaryMessages) => void
  readonly message: (message: MessageAnswer) => void
  readonly gap: (gap: GapAnswer) => void
  /** An error that answers no request. */
  readonly told: (error: ErrorAnswer) => void
  /** All that came together was told. */
  readonly chunkEnd: () => void
  readonly ended: (problem: string) => void
}

type WithoutCorrelation<R> = R extends unknown ? Omit<R, "correlation"> : never

/** Why a connection ends that is not needed any more. */
export const closedHere = "the connection was closed"

/** A listener to a connection over which nothing comes unasked. */
export const nothingComes: LinkListener = {
  messages: () => {},
  message: () => {},
  gap: () => {},
  told: () => {},
  chunkEnd: () => {},
  ended: () => {}
}

export class Link {
  private readonly transport: Transport
  private readonly pending = new Map<number, (answer: LinkAnswer) => void>()
  private nextCorrelation = 1
  private isBehind = false
  private hasAnswered = false
  /** Why the connection ends, as the broker said before it closed it. */
  private farewell: string | undefined
  private problem: string | undefined

  constructor(
    config: BrokerClientConfig["Type"],
    private readonly listener: LinkListener
  ) {
    this.transport = new Transport(config, {
      frame: (bytes, start, end) => this.take(bytes, start, end),
      chunkEnd: () => listener.chunkEnd(),
      quiet: () => this.request({ type: "ping" }, () => {}),
      ended: (problem) => this.end(this.farewell ?? problem)
    })
  }

  /** Why it has ended; `undefined` while it has not. */
  get endedBy(): string | undefined {
    return this.problem
  }

  request(request: WithoutCorrelation<Request>, answered: (answer: LinkAnswer) => void): void {
    const correlation = this.register(answered)
    if (correlation === undefined) return
    const body = encodeRequest({ ...request, correlation: `${correlation}` } as Request)
    const length = new Uint8Array(lengthBytes)
    writeUint32(length, 0, body.length)
    this.transport.send(length)
    this.transport.send(body)
  }

  /** Sends a frame that is made with its correlation. */
  requestFrame(make: (correlation: number) => Uint8Array, answered: (answer: LinkAnswer) => void): void {
    const correlation = this.register(answered)
    if (correlation !== undefined) this.transport.send(make(correlation))
  }

  /** Says whether whoever takes the messages is behind: then no more are read, unless an answer is waited for. */
  setBehind(isBehind: boolean): void {
    this.isBehind = isBehind
    this.readOrNot()
  }

  look(): void {
    this.transport.look()
  }

  /** Ends it in good order; what waits for answers is told that it has ended. */
  close(): void {
    this.transport.close()
    this.end(closedHere)
  }

  /** Ends it at once, because of what came. */
  break(problem: string): void {
    this.transport.end(problem)
  }

  private register(answered: (answer: LinkAnswer) => void): number | undefined {
    if (this.problem !== undefined) {
      answered({ type: "ended", problem: this.problem })
      return undefined
    }
    const correlation = this.nextCorrelation
    this.nextCorrelation = correlation === 0xffff_ffff ? 1 : correlation + 1
    this.pending.set(correlation, answered)
    if (this.isBehind) this.readOrNot()
    return correlation
  }

  /** Messages in front of an answer have to be read: whoever waits for it may be the one who takes them. */
  private readOrNot(): void {
    if (this.isBehind && this.pending.size === 0) this.transport.pause()
    else this.transport.resume()
  }

  private take(bytes: Uint8Array, start: number, end: number): void {
    if (isBinary(bytes, start, end)) {
      const answer = decodeBinaryAnswer(bytes, start, end)
      if (answer === undefined) this.transport.end("the broker sent a frame that can't be read")
      else if (answer.type === "messages") this.listener.messages(answer)
      else this.answer(answer.correlation, answer)
      return
    }
    const answer = decodeAnswer(bytes, start, end)
    switch (answer.type) {
      case "message":
        this.listener.message(answer)
        break
      case "gap":
        this.listener.gap(answer)
        break
      case "response":
        this.answer(Number(answer.correlation), answer)
        break
      case "error":
        this.takeError(answer)
        break
      case "malformed":
        this.transport.end(`the broker sent a frame that can't be read: ${answer.problem}`)
    }
  }

  private takeError(error: ErrorAnswer): void {
    // Before hello is answered nothing else can be meant.
    if (!error.unsolicited || !this.hasAnswered) {
      // Answers come in order, so that one of a broker which repeats no correlation belongs to the oldest request.
      const oldest = this.pending.keys().next().value
      this.answer(error.correlation === "" ? (oldest ?? 0) : Number(error.correlation), error)
      return
    }
    // Where the connection is closed next, this is why.
    if (error.subscriberId === undefined) this.farewell = wordsOf(error)
    this.listener.told(error)
  }

  private answer(correlation: number, answer: LinkAnswer): void {
    const answered = this.pending.get(correlation)
    if (answered === undefined) return
    this.pending.delete(correlation)
    this.hasAnswered = true
    answered(answer)
    if (this.isBehind && this.pending.size === 0) this.readOrNot()
  }

  private end(problem: string): void {
    if (this.problem !== undefined) return
    this.problem = problem
    const waiting = [...this.pending.values()]
    this.pending.clear()
    for (const answered of waiting) answered({ type: "ended", problem })
    this.listener.ended(problem)
  }
}

/** What an error says. */
export const wordsOf = ({ error, problem }: ErrorAnswer): string =>
  problem === undefined ? error : `${error}: ${problem}`
