/** Machine stories: given what happened, when something is asked, then these commands, and no others. */
import { expect } from "vitest"
import type { Stepper } from "../../src/actors/Step.ts"
import { plain } from "../properties/worlds/Play.ts"

export class Story<Snapshot, Event, Command> {
  private commands: ReadonlyArray<Command>
  constructor(
    private readonly stepper: Pick<Stepper<Snapshot, Event, Command, never>, "step">,
    initial: readonly [Snapshot, ReadonlyArray<Command>]
  ) {
    ;[this.snapshot, this.commands] = initial
  }

  snapshot: Snapshot

  /** Facts, and requests whose commands are no part of the story. */
  given(...events: ReadonlyArray<Event>): this {
    for (const event of events) this.when(event)
    return this
  }

  when(event: Event): this {
    ;[this.snapshot, this.commands] = this.stepper.step(this.snapshot, event)
    return this
  }

  /** What an event is answered with, for a story that looks at it in its own way. */
  commandsOf(event: Event): ReadonlyArray<Command> {
    return this.when(event).commands
  }

  // biome-ignore lint/suspicious/noThenProperty: given, when, then; nobody awaits a story
  then(...commands: ReadonlyArray<Command>): this {
    expect(plain(this.commands)).toEqual(plain(commands))
    return this
  }
}
