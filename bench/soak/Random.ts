/** Chance that is the same for the same seed; everyone who draws has a stream of his own, told apart by a name. */
export interface Random {
  /** An integer from 0 up to but not with `end`. */
  readonly below: (end: number) => number
  readonly chance: (probability: number) => boolean
  readonly pick: <A>(list: ReadonlyArray<A>) => A
  readonly shuffle: <A>(list: Array<A>) => Array<A>
}

/** Mulberry32. */
const unitsOf = (seed: number) => {
  let state = seed | 0
  return (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** FNV-1a. */
const hashOf = (text: string): number => {
  let hash = 0x811c9dc5
  for (const character of text) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193)
  return hash
}

export const make = (seed: number, name: string): Random => {
  const unit = unitsOf(Math.imul(seed, 0x9e3779b1) ^ hashOf(name))
  const below = (end: number): number => Math.floor(unit() * end)
  return {
    below,
    chance: (probability) => unit() < probability,
    pick: (list) => list[below(list.length)]!,
    shuffle: (list) => {
      for (let index = list.length - 1; index > 0; index--) {
        const other = below(index + 1)
        ;[list[index], list[other]] = [list[other]!, list[index]!]
      }
      return list
    }
  }
}
