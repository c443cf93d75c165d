/** What the connections of a server have in common. */
import type { Effect, Exit, Scope } from "effect"
import type { WireErrorCode } from "../../protocol/wire/WireErrors.ts"
import type { Broker } from "../Broker.ts"
import type { BrokerServerSettings } from "../BrokerServer.ts"
import type { Rejects } from "../Rejects.ts"
import type { RangeCache } from "./RangeCache.ts"

export interface Surroundings {
  readonly broker: Broker["Type"]
  readonly config: BrokerServerSettings
  readonly rejects: Rejects["Type"]
  readonly ranges: RangeCache
  readonly counters: Counters
  /** A scope that is closed with the server, or before. */
  readonly makeScope: () => Scope.CloseableScope
  /** Runs it at once, as far as it goes; answers how to interrupt it. */
  readonly run: <A, E>(effect: Effect.Effect<A, E>, onExit: (exit: Exit.Exit<A, E>) => void) => () => void
}

/** What the server counts; `pendingBytes` is also what all connections share. */
export interface Counters {
  pendingBytes: number
  accepted: number
  bytesRead: number
  bytesWritten: number
  framesRead: number
  /** That are open. */
  subscriptions: number
  readonly errors: Partial<Record<WireErrorCode, number>>
}

export const countError = ({ errors }: Counters, code: WireErrorCode): void => {
  errors[code] = (errors[code] ?? 0) + 1
}
