/**
 * The pure step of a machine: snapshot and event in, snapshot and commands out. Nothing runs here.
 *
 * xstate's `transition()` makes an actor that is thrown away at every step, which costs several times the step itself
 * (FACTS: 25 to 75 µs against 4 to 7). `stepper` makes one inert scope per machine and passes it to every step; a test pins
 * the two to each other.
 *
 * Rules that every machine of the product keeps:
 * - its context is `{ recoverable, volatile }`; facts alone change `recoverable`;
 * - facts are handled at the root, whatever state the machine is in: what happened, happened;
 * - its commands are named actions with typed params and an empty body; nothing else is an effect.
 */
import {
  type AnyActorScope,
  type AnyStateMachine,
  createActor,
  createMachine,
  type EventFromLogic,
  type InputFrom,
  type SnapshotFrom,
  type StateMachine
} from "xstate"

/** A named action of a machine that stands for what it wants done; the interpreter does it. */
export const command =
  <Params>() =>
  (_context: unknown, _params: Params): void => {}

/** The commands of a machine, as a union of `{ type, params }`. */
export type CommandOf<Machine> =
  // biome-ignore format: one type parameter per line would say nothing more
  // biome-ignore lint/suspicious/noExplicitAny: only the fifth parameter of StateMachine is asked for
  Machine extends StateMachine<any, any, any, any, infer Action, any, any, any, any, any, any, any, any, any>
    ? Action extends { readonly type: string }
      ? Action
      : never
    : never

export interface Stepper<Snapshot, Event, Command, Input> {
  /** The snapshot to start from, and what the machine wants done first. */
  readonly initial: (input: Input) => readonly [Snapshot, ReadonlyArray<Command>]
  /** One macrostep. The given snapshot stays as it is. Throws what a guard or an assign throws. */
  readonly step: (snapshot: Snapshot, event: Event) => readonly [Snapshot, ReadonlyArray<Command>]
}

export type StepperOf<Machine extends AnyStateMachine> = Stepper<
  SnapshotFrom<Machine>,
  EventFromLogic<Machine>,
  CommandOf<Machine>,
  InputFrom<Machine>
>

type Executed = (action: { readonly type: string; readonly params?: unknown }) => void

/**
 * What `machine.transition` needs of an actor and never uses here: our machines neither spawn, invoke, emit nor send. Any
 * actor will do for `self`, so it is one of an empty machine, which needs no input.
 */
const inertScope = (executed: Executed): AnyActorScope => {
  const self = createActor(createMachine({}))
  const ignore = () => {}
  return {
    self,
    system: self.system,
    id: self.id,
    sessionId: self.sessionId,
    logger: ignore,
    defer: ignore,
    emit: ignore,
    stopChild: ignore,
    actionExecutor: executed as AnyActorScope["actionExecutor"]
  }
}

/** The pure functions of a machine. */
export const stepper = <Machine extends AnyStateMachine>(machine: Machine): StepperOf<Machine> => {
  let commands: Array<CommandOf<Machine>> = []
  const scope = inertScope(({ type, params }) => commands.push({ type, params } as CommandOf<Machine>))
  const collect = (
    run: () => unknown
  ): readonly [SnapshotFrom<Machine>, ReadonlyArray<CommandOf<Machine>>] => {
    commands = []
    const snapshot = run() as SnapshotFrom<Machine>
    return [snapshot, commands]
  }
  return {
    initial: (input) => collect(() => machine.getInitialSnapshot(scope, input)),
    step: (snapshot, event) => collect(() => machine.transition(snapshot, event, scope))
  }
}

/**
 * The snapshot after some facts, commands discarded: how an actor recovers. Regrouping the facts changes nothing.
 */
export const fold = <Snapshot, Event>(
  stepper: Pick<Stepper<Snapshot, Event, unknown, never>, "step">,
  snapshot: Snapshot,
  facts: Iterable<Event>
): Snapshot => {
  let next = snapshot
  for (const fact of facts) next = stepper.step(next, fact)[0]
  return next
}
