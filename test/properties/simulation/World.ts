/** A broker whose process dies and comes back over the same log and journal, and a witness of what its log was given. */
import { Effect, Exit, FastCheck, Scope } from "effect"
import type { Broker } from "../../../src/layers/Broker.ts"
import type { OffsetLog } from "../../../src/layers/OffsetLog.ts"
import { textOf } from "../../contracts/Broker.messages.ts"
import { type Ground, makeGround } from "../../layers/broker/Ground.ts"
import type { Drawn } from "../Turns.ts"

/** A small record with what the log keeps beside it. */
const recordBytes = 200

export const settings = FastCheck.record({
  retentionRecords: FastCheck.constantFrom(12, 40, 1_000),
  segmentRecords: FastCheck.constantFrom(1, 4, 12),
  whenFull: FastCheck.constantFrom("block" as const, "block" as const, "drop_oldest" as const),
  retentionMs: FastCheck.constantFrom(null, null, 3_000),
  redeliveriesMax: FastCheck.nat(2),
  redeliveryDelayMs: FastCheck.constantFrom(1, 700),
  /** When the process dies, in milliseconds after it started, each time. */
  diesAfterMs: FastCheck.array(FastCheck.constantFrom(0, 40, 900, 2_500), { maxLength: 3 })
})
export type Settings = Drawn<typeof settings>

export interface World {
  readonly settings: Settings
  /** The broker as it is now; one whose process has died answers that it is unavailable. */
  readonly broker: () => Broker["Type"]
  /** All that was ever appended, by offset. */
  readonly appended: ReadonlyArray<string>
  /** The oldest offset that the log holds. */
  readonly oldest: Effect.Effect<number>
  readonly random: () => number
}

/** At any moment, until the next one. */
export const pause = ({ random }: Pick<World, "random">, ms = 20): Effect.Effect<void> =>
  Effect.suspend(() => (random() < 0.5 ? Effect.yieldNow() : Effect.sleep(Math.ceil(random() * ms))))

/** A log that takes its time to append, and tells what was. */
const witnessed =
  (appended: Array<string>, random: () => number) =>
  (log: OffsetLog["Type"]): OffsetLog["Type"] => ({
    ...log,
    append: (runs) =>
      Effect.sync(() => appended.push(...runs.flatMap(({ payloads }) => payloads.map(textOf)))).pipe(
        Effect.zipLeft(log.append(runs)),
        Effect.uninterruptible,
        (append) => Effect.zipRight(pause({ random }), append),
        Effect.zipLeft(pause({ random })),
        Effect.asVoid
      )
  })

/** Opens a broker, which dies in its scope when its time has come, or with `scope`. */
const live = (
  { openBroker }: Ground,
  diesAfterMs: number | undefined,
  scope: Scope.Scope
): Effect.Effect<readonly [Broker["Type"], Effect.Effect<void>], unknown> =>
  Effect.gen(function* () {
    const life = yield* Scope.fork(scope, scope.strategy)
    const broker = yield* Scope.extend(openBroker, life)
    const dies =
      diesAfterMs === undefined
        ? Effect.never
        : Effect.zipRight(Effect.sleep(diesAfterMs), Scope.close(life, Exit.void))
    return [broker, dies] as const
  })

/** The world, which lives as long as its scope. */
export const makeWorld = (
  settings: Settings,
  random: () => number
): Effect.Effect<World, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const { retentionRecords, segmentRecords, diesAfterMs, ...policy } = settings
    const appended: Array<string> = []
    const ground = yield* makeGround({
      ...policy,
      retentionBytes: retentionRecords * recordBytes,
      segmentBytes: segmentRecords * recordBytes,
      wrapLog: witnessed(appended, random)
    })
    const scope = yield* Effect.scope
    const deaths = [...diesAfterMs]
    let [broker, dies] = yield* live(ground, deaths.shift(), scope)
    const lives = Effect.gen(function* () {
      for (;;) {
        yield* dies
        yield* pause({ random }, 500)
        ;[broker, dies] = yield* live(ground, deaths.shift(), scope)
      }
    })
    yield* Effect.forkScoped(Effect.orDie(lives))
    return {
      settings,
      broker: () => broker,
      appended,
      oldest: Effect.map(ground.log.bounds, ({ oldest }) => oldest),
      random
    }
  })
