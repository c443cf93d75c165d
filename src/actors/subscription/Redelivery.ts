/** Messages that their subscriber refused: when they come again, and when they do not any more. */
import type { Offset } from "../../protocol/Log.ts"

/** A message that was refused. It stands beside the deliveries: what waits here takes no credit and delays nobody. */
export interface Refused {
  readonly offset: Offset
  /** How often it was delivered again, or will have been. */
  readonly redeliveries: number
  readonly state:
    | { readonly _tag: "Waiting"; readonly dueMs: number }
    /** Comes again as soon as there is credit. */
    | { readonly _tag: "Due" }
    /** Is being read from the log; how large it is will be known then. */
    | { readonly _tag: "Underway" }
    /** Is with the subscriber again. */
    | { readonly _tag: "Out"; readonly bytes: number }
}

/** In ascending order of their offsets. */
export type RefusedMessages = ReadonlyArray<Refused>

export const findRefused = (refused: RefusedMessages, offset: Offset): Refused | undefined =>
  refused.find((message) => message.offset === offset)

/** The table with one message in it, in its place, or without it. */
export const withRefused = (refused: RefusedMessages, message: Refused): RefusedMessages => {
  const index = refused.findIndex(({ offset }) => offset >= message.offset)
  if (index === -1) return [...refused, message]
  return refused.toSpliced(index, refused[index]!.offset === message.offset ? 1 : 0, message)
}

export const withoutRefused = (refused: RefusedMessages, offset: Offset): RefusedMessages =>
  refused.filter((message) => message.offset !== offset)

/** When the next of those that wait is due; `undefined` where none waits. */
export const nextDueMs = (refused: RefusedMessages): number | undefined => {
  let next: number | undefined
  for (const { state } of refused) {
    if (state._tag === "Waiting" && (next === undefined || state.dueMs < next)) next = state.dueMs
  }
  return next
}

/** The table when the time is come for all that wait until then. */
export const dueBy = (refused: RefusedMessages, nowMs: number): RefusedMessages =>
  refused.map((message) =>
    message.state._tag === "Waiting" && message.state.dueMs <= nowMs
      ? { ...message, state: { _tag: "Due" as const } }
      : message
  )

/** Whether one is on its way, so that nobody knows how much credit is left. */
export const isUnderway = (refused: RefusedMessages): boolean =>
  refused.some(({ state }) => state._tag === "Underway")

/** Messages and bytes that are with the subscriber again. */
export const outAgain = (refused: RefusedMessages) => {
  let messages = 0
  let bytes = 0
  for (const { state } of refused) {
    if (state._tag !== "Out") continue
    messages++
    bytes += state.bytes
  }
  return { messages, bytes }
}
