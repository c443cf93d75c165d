/** Tables that forget their oldest entries, many at a time. */
import { HashMap } from "effect"

/**
 * The table, cut down to its `max` newest entries once it has `prunedAt` of them, and what was forgotten, oldest first. The
 * ages of two entries must differ, or which of them stays would depend on the table's order.
 */
export const pruned = <Key, Value>(
  table: HashMap.HashMap<Key, Value>,
  { max, prunedAt }: { readonly max: number; readonly prunedAt: number },
  ageOf: (value: Value) => number
): readonly [HashMap.HashMap<Key, Value>, ReadonlyArray<Key>] => {
  const size = HashMap.size(table)
  if (size < prunedAt) return [table, []]
  const forgotten = HashMap.toEntries(table)
    .sort(([, left], [, right]) => ageOf(left) - ageOf(right))
    .slice(0, size - max)
    .map(([key]) => key)
  return [HashMap.removeMany(table, forgotten), forgotten]
}
