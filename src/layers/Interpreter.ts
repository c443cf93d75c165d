/**
 * The interpreter: the only place where what a machine wants is done.
 *
 * It takes one request at a time and handles it to its end: step the request, execute its commands, step the facts and
 * outcomes that came of them, journal the facts, adopt the snapshot, execute the commands that they yield, and so on until
 * nothing is left. A handler either ends at once and returns events, or starts work in the background whose outcome comes
 * back as a request (`actor.send`). Nobody is answered before the fact is durable: answers are commands of facts.
 *
 * If the loop ends for any reason, a defect, a journal that fails (unless the machine handles that) or the end of the scope, every open and every later
 * `ask` fails with `ActorStopped` instead of hanging.
 */
import { Cause, Deferred, Effect, Exit, type Fiber, Schema, type Scope } from "effect"
import type { Stepper } from "../actors/Step.ts"
import * as ActorMailbox from "./ActorMailbox.ts"

/** The actor that was asked does not run any more. */
export class ActorStopped extends Schema.TaggedError<ActorStopped>()("ActorStopped", {
  actor: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return `${this.actor} has stopped`
  }
}

type AnyCommand = { readonly type: string; readonly params: unknown }
type AnyEvent = { readonly type: string }

/** What a command led to at once: facts, and outcomes that are no facts. Without an Effect where it takes none. */
type Outcome<Event> = ReadonlyArray<Event> | Effect.Effect<ReadonlyArray<Event>>

/** What a command does, by its name. */
export type Handlers<Command extends AnyCommand, Event> = {
  readonly [Type in Command["type"]]: (
    params: Extract<Command, { readonly type: Type }>["params"]
  ) => Outcome<Event>
}

/** Events of a handler that leads to none. */
export const noEvents: ReadonlyArray<never> = []

export interface Actor<Snapshot, Event> {
  readonly name: string
  /** The snapshot that the last finished step left. */
  readonly snapshot: () => Snapshot
  /** Admits a request that frees space, or an outcome: never waits. Dropped once the actor has stopped. */
  readonly send: (request: Event) => void
  /** The same, of what makes an earlier one of its type obsolete: one that still waits is replaced, so that none pile up. */
  readonly sendLatest: (request: Event) => void
  /**
   * Asks and waits for the answer that a handler gives with `reply`. A request that needs space names its `bytes` and waits
   * until the mailbox has room for them; one without is admitted at once, like `send`.
   */
  readonly ask: <A, E>(
    request: (replyTo: number) => Event,
    options?: { readonly bytes?: number }
  ) => Effect.Effect<A, E | ActorStopped>
  /** Answers an `ask`; nothing happens where nobody waits any more. */
  readonly reply: (replyTo: number, answer: Exit.Exit<unknown, unknown>) => void
  /** Completes, with why, when the actor does not run any more. */
  readonly stopped: Effect.Effect<ActorStopped>
  /** Stops it, now. */
  readonly stop: Effect.Effect<void>
}

export interface ActorOptions<Snapshot, Event extends AnyEvent, Command extends AnyCommand> {
  readonly name: string
  readonly stepper: Pick<Stepper<Snapshot, Event, Command, never>, "step">
  /** Where to start, and what is to be done first. */
  readonly initial: readonly [Snapshot, ReadonlyArray<Command>]
  readonly isFact: (event: Event) => boolean
  /** Makes facts durable. What it fails with drops the new snapshot: the facts did not happen. */
  readonly journal: (facts: ReadonlyArray<Event>, next: Snapshot) => Effect.Effect<void, unknown>
  /** What the actor is told when that failed. Without it, it ends. */
  readonly journalFailed?: (error: unknown) => Event
  readonly handlers: (self: Actor<Snapshot, Event>) => Handlers<Command, Event>
}

/** Starts an actor that runs in a loop of its own until the scope closes. */
export const spawn = <Snapshot, Event extends AnyEvent, Command extends AnyCommand>(
  options: ActorOptions<Snapshot, Event, Command>
): Effect.Effect<Actor<Snapshot, Event>, never, Scope.Scope> =>
  Effect.flatMap(makeLoop, (loop) => loop.spawn(options))

/** Does something once an actor has stopped, also where it is the end of its scope that stops it. */
export const onStop = (
  { stopped }: Pick<Actor<never, never>, "stopped">,
  then: (stopped: ActorStopped) => Effect.Effect<unknown>
): Effect.Effect<void> =>
  // A fiber of the scope would end before the actor does, and tell nobody.
  Effect.asVoid(Effect.forkDaemon(Effect.flatMap(stopped, then)))

/** Starts an effect now, in the fiber that runs this, as far as it goes without waiting. */
export type RunFork = <A, E>(effect: Effect.Effect<A, E>) => Fiber.RuntimeFiber<A, E>

/**
 * What a command leads to that takes its time or none: where it is done at once, its event; else that comes back as a request, and
 * nobody who shares the loop waits for it. `use` makes the event in the step in which it is told. A defect ends the actor.
 */
export const startWork = <A, Event>(
  { send, stop }: Pick<Actor<unknown, Event>, "send" | "stop">,
  runFork: RunFork,
  work: Effect.Effect<A>,
  use: (done: A) => Event
): Effect.Effect<ReadonlyArray<Event>> =>
  Effect.suspend((): Effect.Effect<ReadonlyArray<Event>> => {
    const fiber = runFork(work)
    const exit = fiber.unsafePoll()
    if (exit !== null) return Effect.map(exit, (done) => [use(done)])
    fiber.addObserver((exit) => {
      if (Exit.isSuccess(exit)) send(use(exit.value))
      else runFork(Effect.zipRight(Effect.logError("work of an actor has failed", exit.cause), stop))
    })
    return Effect.succeed(noEvents)
  })

/** Several actors that take turns in one fiber: a group of one, then a group of the next that is ready. */
export interface ActorLoop {
  readonly spawn: typeof spawn
}

interface Turn {
  readonly run: Effect.Effect<void>
  readonly hasMore: () => boolean
}

/** A loop for actors that come and go; ends, and all of them with it, when the scope closes. */
export const makeLoop: Effect.Effect<ActorLoop, never, Scope.Scope> = Effect.gen(function* () {
  const ready: Array<Turn> = []
  const actors = new Set<Effect.Effect<void>>()
  let hasEnded = false
  let wake: (() => void) | undefined

  const schedule = (turn: Turn): void => {
    ready.push(turn)
    if (wake !== undefined) {
      const resume = wake
      wake = undefined
      resume()
    }
  }
  const awaitReady = Effect.async<void>((resume) => {
    if (ready.length > 0) resume(Effect.void)
    else wake = () => resume(Effect.void)
  })
  // An actor may live in another scope; without its loop it would leave whoever asks it waiting for ever.
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      hasEnded = true
      return Effect.all(actors, { discard: true })
    })
  )
  yield* Effect.forkScoped(
    Effect.forever(
      Effect.suspend(() => {
        const turn = ready.shift()
        if (turn === undefined) return awaitReady
        return Effect.map(turn.run, () => {
          if (turn.hasMore()) ready.push(turn)
        })
      })
    )
  )
  return {
    spawn: (options) =>
      Effect.tap(spawnIn(schedule, options), ({ stop }) =>
        hasEnded
          ? stop
          : Effect.acquireRelease(
              Effect.sync(() => actors.add(stop)),
              () => Effect.sync(() => actors.delete(stop))
            )
      )
  }
})

const spawnIn = <Snapshot, Event extends AnyEvent, Command extends AnyCommand>(
  schedule: (turn: Turn) => void,
  {
    name,
    stepper,
    initial,
    isFact,
    journal,
    journalFailed,
    handlers: makeHandlers
  }: ActorOptions<Snapshot, Event, Command>
): Effect.Effect<Actor<Snapshot, Event>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const stopped = yield* Deferred.make<ActorStopped>()
    const asking = new Map<number, (answer: Exit.Exit<never, ActorStopped>) => void>()
    let [snapshot, firstCommands] = initial
    let nextReply = 0
    let end: ActorStopped | undefined
    // The first turn executes what the initial snapshot asks for.
    let queued = true

    /** Executes commands, and what comes of them, until nothing is left. */
    const execute = (first: ReadonlyArray<Command>) =>
      Effect.gen(function* () {
        let due = first
        while (due.length > 0) {
          const events: Array<Event> = []
          for (const { type, params } of due) {
            const handle = handlers[type as Command["type"]] as (params: unknown) => Outcome<Event>
            const outcome = handle(params)
            for (const event of Effect.isEffect(outcome) ? yield* outcome : outcome) events.push(event)
          }
          if (events.length === 0) return
          due = yield* adopt(events)
        }
      })

    const adopt = (events: ReadonlyArray<Event>): Effect.Effect<ReadonlyArray<Command>, unknown> =>
      Effect.suspend(() => {
        let next = snapshot
        const due: Array<Command> = []
        for (const event of events) {
          const [stepped, commands] = stepper.step(next, event)
          next = stepped
          due.push(...commands)
        }
        const facts = events.filter(isFact)
        const adopted = () => {
          snapshot = next
          return due
        }
        if (facts.length === 0) return Effect.sync(adopted)
        return Effect.matchEffect(journal(facts, next), {
          onSuccess: () => Effect.sync(adopted),
          onFailure: (error) =>
            journalFailed === undefined
              ? Effect.fail(error)
              : adopt([...events.filter((event) => !isFact(event)), journalFailed(error)])
        })
      })

    const stop = (cause: Cause.Cause<unknown>): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (end !== undefined) return Effect.void
        end = new ActorStopped({
          actor: name,
          ...(Cause.isInterruptedOnly(cause) ? {} : { cause: Cause.squash(cause) })
        })
        const failure = Exit.fail(end)
        for (const answer of asking.values()) answer(failure)
        asking.clear()
        return Deferred.succeed(stopped, end)
      })

    const turn: Turn = {
      hasMore: () => queued,
      run: Effect.suspend(() => {
        let group: Effect.Effect<void, unknown>
        if (end === undefined && firstCommands.length > 0) {
          group = execute(firstCommands)
          firstCommands = []
        } else {
          const request = end === undefined ? mailbox.take() : undefined
          if (request === undefined) {
            queued = false
            return Effect.void
          }
          group = Effect.flatMap(adopt([request]), execute)
        }
        return Effect.catchAllCause(group, (cause) =>
          // What belongs to a scope that has closed meanwhile is interrupted; there is nothing wrong with that.
          Cause.isInterruptedOnly(cause)
            ? stop(cause)
            : Effect.zipRight(Effect.logError(`${name} stops`, cause), stop(cause))
        )
      })
    }
    const mailbox = ActorMailbox.make<Event>(() => {
      if (queued) return
      queued = true
      schedule(turn)
    })

    const actor: Actor<Snapshot, Event> = {
      name,
      snapshot: () => snapshot,
      send: (request) => {
        if (end === undefined) mailbox.push(request)
      },
      sendLatest: (request) => {
        if (end === undefined) mailbox.pushLatest(request.type, request)
      },
      ask: <A, E>(request: (replyTo: number) => Event, { bytes }: { readonly bytes?: number } = {}) =>
        Effect.async<A, E | ActorStopped>((resume) => {
          if (end !== undefined) {
            resume(Effect.fail(end))
            return
          }
          const replyTo = nextReply++
          asking.set(replyTo, resume as (answer: Exit.Exit<never, ActorStopped>) => void)
          const takeBack =
            bytes === undefined ? mailbox.push(request(replyTo)) : mailbox.offer(request(replyTo), bytes)
          return Effect.sync(() => {
            asking.delete(replyTo)
            takeBack?.()
          })
        }),
      reply: (replyTo, answer) => {
        const resume = asking.get(replyTo)
        if (resume === undefined) return
        asking.delete(replyTo)
        resume(answer as Exit.Exit<never, ActorStopped>)
      },
      stopped: Deferred.await(stopped),
      stop: stop(Cause.empty)
    }
    const handlers = makeHandlers(actor)
    yield* Effect.addFinalizer(() => actor.stop)
    schedule(turn)
    return actor
  })
