/** What a subscriber was given and has not finished: in ranges, since there may be many messages. */
import { type Offset, offsetOf } from "../../protocol/Log.ts"

/** Offsets from one up to but not with another. */
export interface Range {
  readonly from: Offset
  readonly to: Offset
}

/** Messages that were delivered together and are not all done. */
export interface Delivered extends Range {
  /** Of all of them: what is done gives its bytes back when the last of them is. */
  readonly bytes: number
  /** What is not done yet; ascending, never empty. */
  readonly open: ReadonlyArray<Range>
}

/**
 * Deliveries below these sizes take in what is delivered next, so that a list of them stays short. One of which something
 * is done takes in nothing: its bytes would pile up for a subscriber that always holds back its last message.
 */
const deliveryMessagesMin = 64
const deliveryBytesMin = 64 * 1024

/** Deliveries with one more behind them. Where bytes do not count, all that adjoin are one. */
export const withDelivered = (
  delivered: ReadonlyArray<Delivered>,
  { from, to, bytes }: Range & { readonly bytes: number },
  bytesCount: boolean
): ReadonlyArray<Delivered> => {
  const last = delivered.at(-1)
  const next = { from, to, bytes, open: [{ from, to }] }
  if (last === undefined || last.to !== from) return [...delivered, next]
  const isWhole = last.open.length === 1 && last.open[0]!.from === last.from && last.open[0]!.to === last.to
  const isSmall = last.to - last.from < deliveryMessagesMin && last.bytes < deliveryBytesMin
  if (bytesCount && !(isWhole && isSmall)) return [...delivered, next]
  const lastOpen = last.open.at(-1)!
  const open =
    lastOpen.to === from
      ? [...last.open.slice(0, -1), { from: lastOpen.from, to }]
      : [...last.open, { from, to }]
  return [...delivered.slice(0, -1), { from: last.from, to, bytes: last.bytes + bytes, open }]
}

const withOpen = (delivery: Delivered, open: ReadonlyArray<Range>): ReadonlyArray<Delivered> =>
  open.length === 0 ? [] : [{ ...delivery, open }]

/** What is left when all below an offset is done. */
export const withoutBelow = (delivered: ReadonlyArray<Delivered>, below: Offset): ReadonlyArray<Delivered> =>
  delivered.flatMap((delivery) => {
    if (delivery.open[0]!.from >= below) return [delivery]
    const open = delivery.open.flatMap(({ from, to }) =>
      to <= below ? [] : [{ from: from < below ? below : from, to }]
    )
    return withOpen(delivery, open)
  })

/** Index of the last range that does not begin above an offset; -1 where all do. Ranges ascend. */
const lastBeginningBy = (ranges: ReadonlyArray<Range>, offset: Offset): number => {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (ranges[middle]!.from <= offset) low = middle + 1
    else high = middle
  }
  return low - 1
}

/** What is left when one message is done; `undefined` where it was not outstanding. */
export const withoutOne = (
  delivered: ReadonlyArray<Delivered>,
  offset: Offset
): ReadonlyArray<Delivered> | undefined => {
  const index = lastBeginningBy(delivered, offset)
  const delivery = delivered[index]
  if (delivery === undefined) return undefined
  const at = lastBeginningBy(delivery.open, offset)
  const range = delivery.open[at]
  if (range === undefined || offset >= range.to) return undefined
  const rest = [
    { from: range.from, to: offset },
    { from: offsetOf(offset + 1), to: range.to }
  ].filter(({ from, to }) => from < to)
  return [
    ...delivered.slice(0, index),
    ...withOpen(delivery, delivery.open.toSpliced(at, 1, ...rest)),
    ...delivered.slice(index + 1)
  ]
}

/** Messages and bytes that are out, and in how many ranges the messages lie. */
export const outstanding = (delivered: ReadonlyArray<Delivered>) => {
  let messages = 0
  let bytes = 0
  let ranges = 0
  for (const delivery of delivered) {
    bytes += delivery.bytes
    ranges += delivery.open.length
    for (const { from, to } of delivery.open) messages += to - from
  }
  return { messages, bytes, ranges }
}
