/**
 * Plays a machine as the interpreter does, without effects: requests in, commands handled at once, facts journalled.
 *
 * Every snapshot is frozen before it is stepped, so that a step which changes what it was given throws; and a step of
 * anything but a fact has to leave `recoverable` untouched, the very object.
 */
import { HashMap } from "effect"
import { expect } from "vitest"
import type { Stepper } from "../../../src/actors/Step.ts"

/** Freezes a value and all that it holds. What is frozen already is taken to be so all the way down. */
export const deepFreeze = <A>(value: A): A => {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const key of Reflect.ownKeys(value)) deepFreeze((value as Record<PropertyKey, unknown>)[key])
  return value
}

/** A value as plain data that two contexts can be compared by: tables by their sorted entries. */
export const plain = (value: unknown): unknown => {
  if (HashMap.isHashMap(value)) {
    return HashMap.toEntries(value)
      .map(([key, held]) => [key, plain(held)] as const)
      .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1))
  }
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, held]) => [key, plain(held)]))
}

interface AnySnapshot {
  readonly value: unknown
  readonly context: { readonly recoverable: unknown }
}

export interface PlayOptions<Snapshot, Event, Command> {
  readonly stepper: Pick<Stepper<Snapshot, Event, Command, never>, "step">
  readonly initial: readonly [Snapshot, ReadonlyArray<Command>]
  readonly isFact: (event: Event) => boolean
  /** What a command leads to at once; what it starts in the background is the world's own business. */
  readonly handle: (command: Command) => ReadonlyArray<Event>
}

export class Play<Snapshot extends AnySnapshot, Event, Command> {
  snapshot: Snapshot
  /** What was journalled. */
  readonly facts: Array<Event> = []
  /** Everything that was stepped, with the snapshot before it. */
  readonly steps: Array<{ readonly before: Snapshot; readonly event: Event }> = []

  constructor(private readonly options: PlayOptions<Snapshot, Event, Command>) {
    this.snapshot = options.initial[0]
  }

  /** Handles what the initial snapshot asks for. */
  start(): this {
    this.execute(this.options.initial[1])
    return this
  }

  request(event: Event): void {
    this.execute(this.adopt([event]))
  }

  private execute(commands: ReadonlyArray<Command>): void {
    let due = commands
    while (due.length > 0) due = this.adopt(due.flatMap(this.options.handle))
  }

  private adopt(events: ReadonlyArray<Event>): ReadonlyArray<Command> {
    return events.flatMap((event) => {
      const before = this.snapshot
      deepFreeze(before.context)
      deepFreeze(before.value)
      this.steps.push({ before, event })
      const [next, commands] = this.options.stepper.step(before, event)
      if (this.options.isFact(event)) this.facts.push(event)
      else expect(next.context.recoverable).toBe(before.context.recoverable)
      this.snapshot = next
      return commands
    })
  }
}
