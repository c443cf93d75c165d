/** Connections to a broker that have said hello. */
import { Deferred, Effect, ExecutionStrategy, Exit, FiberId, Schedule, Schema, Scope } from "effect"
import { silenceLooks } from "../../../protocol/Limits.ts"
import { LogId, Sequence, SourcePosition } from "../../../protocol/Log.ts"
import type { ErrorAnswer, ResponseAnswer } from "../../../protocol/wire/AnswerDecoder.ts"
import { type HelloRequest, protocolVersion } from "../../../protocol/wire/Requests.ts"
import { BrokerUnavailable } from "../../Broker.ts"
import type { BrokerClientConfig } from "./Config.ts"
import { closedHere, Link, type LinkAnswer, type LinkListener, nothingComes, wordsOf } from "./Link.ts"

const Welcome = Schema.Struct({
  log_id: LogId,
  sequence: Schema.optional(Schema.NullOr(Sequence)),
  position: Schema.optional(Schema.NullOr(SourcePosition))
})
const decodeWelcome = Schema.decodeUnknown(Schema.parseJson(Welcome))

/** What a broker answers a hello. */
export type Welcome = typeof Welcome.Type

export interface Connected {
  readonly link: Link
  readonly welcome: Welcome
}

/** What a peer of ours says of itself; the rest of its hello is always the same. */
export type Introduction = Pick<HelloRequest, "producerId" | "maxInFlight" | "maxInFlightBytes">

export const unavailable = (problem: string): BrokerUnavailable => new BrokerUnavailable({ problem })

/** Asks and waits for the answer; a refusal is an answer too. */
export const ask = (
  link: Link,
  request: Parameters<Link["request"]>[0]
): Effect.Effect<ResponseAnswer | ErrorAnswer, BrokerUnavailable> =>
  Effect.flatMap(
    Effect.async<LinkAnswer>((resume) => link.request(request, (answer) => resume(Effect.succeed(answer)))),
    (answer): Effect.Effect<ResponseAnswer | ErrorAnswer, BrokerUnavailable> => {
      switch (answer.type) {
        case "response":
          return Effect.succeed(answer)
        case "error":
          return answer.code === "unavailable"
            ? Effect.fail(unavailable(wordsOf(answer)))
            : Effect.succeed(answer)
        case "ended":
          return Effect.fail(unavailable(answer.problem))
        default:
          return Effect.fail(unavailable("the broker answers something else than it was asked"))
      }
    }
  )

/** Why a broker does not take a hello. */
const refusedHello = (
  { host, port, token }: BrokerClientConfig["Type"],
  answer: ErrorAnswer
): BrokerUnavailable => {
  const at = `${host}:${port}`
  switch (answer.code) {
    case "unauthorized":
      return unavailable(
        token === undefined
          ? `${at} asks for a token (MQ_TOKEN)`
          : `${at} does not accept the token (MQ_TOKEN)`
      )
    case "":
    case "unknown_type":
      return unavailable(`${at} is a broker of an older kind, which does not know hello`)
    default:
      return unavailable(wordsOf(answer))
  }
}

/** Opens a connection and says hello. It is closed with the scope. */
export const connect = (
  config: BrokerClientConfig["Type"],
  introduction: Partial<Introduction> = {},
  listener: LinkListener = nothingComes
): Effect.Effect<Connected, BrokerUnavailable, Scope.Scope> =>
  Effect.gen(function* () {
    const link = yield* Effect.acquireRelease(
      Effect.sync(() => new Link(config, listener)),
      (opened) => Effect.sync(() => opened.close())
    )
    const lookIntervalMs = Math.ceil(config.silenceMsMax / silenceLooks)
    yield* Effect.forkScoped(
      Effect.schedule(
        Effect.sync(() => link.look()),
        Schedule.spaced(lookIntervalMs)
      )
    )
    const hello: Omit<HelloRequest, "correlation"> = {
      type: "hello",
      version: protocolVersion,
      token: config.token,
      producerId: undefined,
      maxInFlight: undefined,
      maxInFlightBytes: undefined,
      binary: true,
      ...introduction
    }
    const answer = yield* ask(link, hello)
    if (answer.type === "error") return yield* refusedHello(config, answer)
    const welcome = yield* Effect.mapError(decodeWelcome(textOf(answer)), () =>
      unavailable(
        `${config.host}:${config.port} is no broker of this kind: its answer to hello can't be read`
      )
    )
    return { link, welcome }
  })

/** The payload of a response as text. */
export const textOf = ({ payload }: ResponseAnswer): string => new TextDecoder().decode(payload)

/**
 * One connection for many calls: opened by the first, and again by the next where it has broken. Whoever comes while it is
 * being opened waits for the same attempt.
 */
export const makeShared = <A extends Pick<Connected, "link">>(
  open: Effect.Effect<A, BrokerUnavailable, Scope.Scope>
): Effect.Effect<Effect.Effect<A, BrokerUnavailable>, never, Scope.Scope> =>
  Effect.map(Effect.scope, (outer) => {
    let current: { readonly opened: A; readonly scope: Scope.CloseableScope } | undefined
    let attempt: Deferred.Deferred<A, BrokerUnavailable> | undefined
    const reopen = Effect.gen(function* () {
      if (current !== undefined) yield* Scope.close(current.scope, Exit.void)
      current = undefined
      const scope = yield* Scope.fork(outer, ExecutionStrategy.sequential)
      const opened = yield* Effect.onError(Scope.extend(open, scope), (cause) =>
        Scope.close(scope, Exit.failCause(cause))
      )
      current = { opened, scope }
      return opened
    })
    return Effect.suspend(() => {
      if (current !== undefined && current.opened.link.endedBy === undefined) {
        return Effect.succeed(current.opened)
      }
      if (attempt !== undefined) return Deferred.await(attempt)
      const mine = Deferred.unsafeMake<A, BrokerUnavailable>(FiberId.none)
      attempt = mine
      // In the outer scope: whoever asked first may be interrupted, and others wait too.
      const opening = Effect.onExit(Effect.interruptible(reopen), (exit) => {
        attempt = undefined
        return Exit.isInterrupted(exit)
          ? Deferred.fail(mine, unavailable(closedHere))
          : Deferred.done(mine, exit)
      })
      // Begun uninterruptibly, so that it also tells of a scope that has closed.
      return Effect.zipRight(Effect.uninterruptible(Effect.forkIn(opening, outer)), Deferred.await(mine))
    })
  })
