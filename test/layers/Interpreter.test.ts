/** What the interpreter guarantees of any machine, shown with one that adds numbers. */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Option, Scope } from "effect"
import { enqueueActions, setup } from "xstate"
import { command, stepper } from "../../src/actors/Step.ts"
import { type Actor, ActorStopped, makeLoop, noEvents, spawn } from "../../src/layers/Interpreter.ts"
import { mailboxBytesMax, mailboxRequestsMax } from "../../src/protocol/Limits.ts"

type Fact = { readonly type: "Added"; readonly replyTo: number; readonly n: number }
type Request =
  | { readonly type: "Add"; readonly replyTo: number; readonly n: number }
  /** Is never answered. */
  | { readonly type: "Ponder" }
  | { readonly type: "NotKept"; readonly replyTo: number }
  | { readonly type: "BreakHandler" }
  | { readonly type: "BreakGuard" }

const setupCounter = setup({
  types: {
    context: {} as { readonly recoverable: { readonly total: number }; readonly volatile: null },
    events: {} as Request | Fact
  },
  actions: {
    record: command<{ readonly fact: Fact }>(),
    answer: command<{ readonly replyTo: number; readonly total: number }>(),
    begin: command<undefined>(),
    break: command<undefined>()
  }
})
const counterStepper = stepper(
  setupCounter.createMachine({
    context: { recoverable: { total: 0 }, volatile: null },
    entry: { type: "begin", params: undefined },
    on: {
      Add: {
        actions: enqueueActions(({ event: { replyTo, n }, enqueue }) =>
          enqueue({ type: "record", params: { fact: { type: "Added", replyTo, n } } })
        )
      },
      Added: {
        actions: enqueueActions(({ context, event: { replyTo, n }, enqueue }) => {
          const total = context.recoverable.total + n
          enqueue.assign({ recoverable: { total } })
          enqueue({ type: "answer", params: { replyTo, total } })
        })
      },
      NotKept: {
        actions: enqueueActions(({ context, event: { replyTo }, enqueue }) =>
          enqueue({ type: "answer", params: { replyTo, total: context.recoverable.total } })
        )
      },
      BreakHandler: { actions: { type: "break", params: undefined } },
      BreakGuard: {
        guard: () => {
          throw new Error("a guard that breaks")
        }
      }
    }
  })
)
type Counter = Actor<ReturnType<typeof counterStepper.initial>[0], Request | Fact>

interface World {
  readonly name: string
  readonly journal: (fact: Fact) => Effect.Effect<void, unknown>
  /** What the counter is told when a fact was not kept; where there is nothing, it ends. */
  readonly journalFailed?: () => Request | Fact
  readonly begin: Effect.Effect<void>
  /** Every number that was added, in the order in which the handler saw them. */
  readonly handled: (n: number) => void
}
const calm: World = { name: "counter", journal: () => Effect.void, begin: Effect.void, handled: () => {} }

const spawnCounter = (world: Partial<World> = {}, spawnIn: typeof spawn = spawn) => {
  const { name, journal, journalFailed, begin, handled } = { ...calm, ...world }
  return spawnIn({
    name,
    stepper: counterStepper,
    initial: counterStepper.initial(undefined),
    isFact: (event: Request | Fact) => event.type === "Added",
    journal: (facts) => Effect.forEach(facts as ReadonlyArray<Fact>, journal, { discard: true }),
    ...(journalFailed === undefined ? {} : { journalFailed }),
    handlers: (self: Counter) => ({
      begin: () => Effect.as(begin, noEvents),
      record: ({ fact }) =>
        Effect.sync(() => {
          handled(fact.n)
          return [fact]
        }),
      answer: ({ replyTo, total }) =>
        Effect.sync(() => {
          self.reply(replyTo, Exit.succeed(total))
          return noEvents
        }),
      break: () => Effect.die(new Error("a handler that breaks"))
    })
  })
}

const add = (counter: Counter, n: number, bytes?: number) =>
  counter.ask<number, never>((replyTo) => ({ type: "Add", replyTo, n }), bytes === undefined ? {} : { bytes })
const ponder = (counter: Counter) => counter.ask<never, never>(() => ({ type: "Ponder" }))
const totalOf = (counter: Counter): number => counter.snapshot().context.recoverable.total

/** Lets every fiber run that can. */
const settled = Effect.forEach(Array.from({ length: 50 }), () => Effect.yieldNow(), { discard: true })

/** An effect that waits until it is opened, and says when somebody waits at it. */
const makeGate = Effect.map(
  Effect.all([Deferred.make<void>(), Deferred.make<void>()]),
  ([reached, opened]) => ({
    pass: Effect.zipRight(Deferred.succeed(reached, undefined), Deferred.await(opened)),
    reached: Deferred.await(reached),
    open: Deferred.succeed(opened, undefined)
  })
)

/** An ask has failed with ActorStopped by now. Nobody waits for it: one that is left hanging is what this is about. */
const expectStopped = (asked: Fiber.Fiber<unknown, ActorStopped>) =>
  Effect.gen(function* () {
    yield* settled
    const exit = Option.getOrUndefined(yield* Fiber.poll(asked))
    expect(exit !== undefined && Exit.isFailure(exit) && Cause.squash(exit.cause)).toBeInstanceOf(
      ActorStopped
    )
  })
const expectBothStopped = (open: Fiber.Fiber<unknown, ActorStopped>, counter: Counter) =>
  Effect.zipRight(expectStopped(open), Effect.flatMap(Effect.fork(add(counter, 1)), expectStopped))

describe("an answer", () => {
  it.scoped("is given only when the journal has the fact; until then the old snapshot holds", () =>
    Effect.gen(function* () {
      const gate = yield* makeGate
      const counter = yield* spawnCounter({ journal: () => gate.pass })
      const asked = yield* Effect.fork(add(counter, 5))
      yield* gate.reached
      yield* settled
      expect(yield* Fiber.poll(asked)).toEqual(Option.none())
      expect(totalOf(counter)).toBe(0)
      yield* gate.open
      expect(yield* Fiber.join(asked)).toBe(5)
      expect(totalOf(counter)).toBe(5)
    })
  )
})

describe("a fact that the journal does not take", () => {
  it.scoped("has not happened; a machine that is told so goes on", () =>
    Effect.gen(function* () {
      const counter = yield* spawnCounter({
        journal: ({ n }) => (n === 2 ? Effect.fail("disk full") : Effect.void),
        journalFailed: () => ({ type: "NotKept", replyTo: 1 })
      })
      expect(yield* add(counter, 1)).toBe(1)
      expect(yield* add(counter, 2), "of the total before").toBe(1)
      expect(totalOf(counter)).toBe(1)
      expect(yield* add(counter, 4)).toBe(5)
    })
  )
})

describe("every open and every later ask fails with ActorStopped, and the snapshot is the last that is journalled,", () => {
  const failing = (name: string, world: Partial<World>, breaking: (counter: Counter) => void) =>
    it.scoped(`when ${name}`, () =>
      Effect.gen(function* () {
        const counter = yield* spawnCounter(world)
        expect(yield* add(counter, 1)).toBe(1)
        const open = yield* Effect.fork(ponder(counter))
        yield* settled
        breaking(counter)
        yield* expectBothStopped(open, counter)
        expect((yield* counter.stopped).cause).toBeDefined()
        counter.send({ type: "Add", replyTo: -1, n: 1 })
        yield* settled
        expect(totalOf(counter)).toBe(1)
      })
    )

  failing(
    "the journal fails",
    { journal: ({ n }) => (n === 2 ? Effect.fail("disk full") : Effect.void) },
    (counter) => counter.send({ type: "Add", replyTo: -1, n: 2 })
  )
  failing(
    "the journal breaks",
    { journal: ({ n }) => (n === 2 ? Effect.die("disk on fire") : Effect.void) },
    (counter) => counter.send({ type: "Add", replyTo: -1, n: 2 })
  )
  failing("a handler breaks", {}, (counter) => counter.send({ type: "BreakHandler" }))
  failing("a guard breaks", {}, (counter) => counter.send({ type: "BreakGuard" }))

  it.effect("when the scope of the actor closes", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const counter = yield* Scope.extend(spawnCounter(), scope)
      const open = yield* Effect.fork(ponder(counter))
      yield* settled
      yield* Scope.close(scope, Exit.void)
      yield* expectBothStopped(open, counter)
    })
  )

  it.scoped("when the scope of its loop closes, although its own does not", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const loop = yield* Scope.extend(makeLoop, scope)
      const counter = yield* spawnCounter({}, loop.spawn)
      const open = yield* Effect.fork(ponder(counter))
      yield* settled
      yield* Scope.close(scope, Exit.void)
      yield* expectBothStopped(open, counter)
    })
  )

  it.scoped("when it was stopped before its first turn, which then does nothing", () =>
    Effect.gen(function* () {
      let began = false
      const begin = Effect.sync(() => {
        began = true
      })
      const counter = yield* spawnCounter({ begin })
      yield* counter.stop
      yield* settled
      expect(began).toBe(false)
      yield* expectStopped(yield* Effect.fork(add(counter, 1)))
    })
  )
})

describe("a mailbox that is full", () => {
  /** A counter that is held up in its first turn, and what it has handled. */
  const heldUp = Effect.gen(function* () {
    const gate = yield* makeGate
    const handled: Array<number> = []
    const counter = yield* spawnCounter({ begin: gate.pass, handled: (n) => handled.push(n) })
    yield* gate.reached
    return { counter, gate, handled }
  })
  /** Asks one after the other, so that the order is known. */
  const asking = (counter: Counter, ns: ReadonlyArray<number>, bytes: number) =>
    Effect.forEach(ns, (n) => Effect.tap(Effect.fork(add(counter, n, bytes)), () => settled))

  it.scoped("lets what needs space wait for its bytes, in order, and what frees space in at once", () =>
    Effect.gen(function* () {
      const { counter, gate, handled } = yield* heldUp
      const asked = yield* asking(counter, [1, 2, 3], mailboxBytesMax)
      counter.send({ type: "Add", replyTo: -1, n: 9 })
      yield* gate.open
      yield* Fiber.joinAll(asked)
      expect(handled).toEqual([1, 9, 2, 3])
    })
  )

  it.scoped("lets what needs space wait for its turn among so many requests", () =>
    Effect.gen(function* () {
      const { counter, gate, handled } = yield* heldUp
      for (let n = 0; n < mailboxRequestsMax; n++) counter.send({ type: "Add", replyTo: -1, n: 0 })
      const asked = yield* asking(counter, [1], 0)
      counter.send({ type: "Add", replyTo: -1, n: 9 })
      yield* gate.open
      yield* Fiber.joinAll(asked)
      expect(handled.filter((n) => n > 0)).toEqual([9, 1])
    })
  )

  it.scoped("forgets an asker that is interrupted while it waits, and lets the next one in", () =>
    Effect.gen(function* () {
      const { counter, gate, handled } = yield* heldUp
      const asked = yield* asking(counter, [1, 2, 3], mailboxBytesMax)
      yield* Fiber.interrupt(asked[1]!)
      yield* gate.open
      expect(yield* Fiber.join(asked[2]!)).toBe(4)
      expect(handled).toEqual([1, 3])
    })
  )

  it.scoped("is left alone by an asker that is interrupted while its request is handled", () =>
    Effect.gen(function* () {
      const { counter, gate, handled } = yield* heldUp
      const asked = yield* asking(counter, [1, 2], 1)
      yield* Fiber.interrupt(asked[0]!)
      yield* gate.open
      expect(yield* Fiber.join(asked[1]!)).toBe(3)
      expect(handled).toEqual([1, 2])
    })
  )
})

describe("actors of one loop", () => {
  it.scoped("take turns, a request each", () =>
    Effect.gen(function* () {
      const loop = yield* makeLoop
      const gate = yield* makeGate
      const handled: Array<string> = []
      const [a, b] = yield* Effect.forEach(["a", "b"], (name) =>
        spawnCounter({ name, begin: gate.pass, handled: (n) => handled.push(`${name}${n}`) }, loop.spawn)
      )
      yield* gate.reached
      for (const n of [1, 2, 3]) a!.send({ type: "Add", replyTo: -1, n })
      for (const n of [1, 2]) b!.send({ type: "Add", replyTo: -1, n })
      yield* gate.open
      expect(yield* add(a!, 4)).toBe(10)
      expect(handled).toEqual(["a1", "b1", "a2", "b2", "a3", "a4"])
    })
  )

  it.scoped("do not end with each other", () =>
    Effect.gen(function* () {
      const loop = yield* makeLoop
      const [a, b] = yield* Effect.forEach(["a", "b"], (name) => spawnCounter({ name }, loop.spawn))
      a!.send({ type: "BreakHandler" })
      expect(yield* add(b!, 1)).toBe(1)
      expect((yield* a!.stopped).actor).toBe("a")
      expect(yield* add(b!, 2)).toBe(3)
    })
  )
})
