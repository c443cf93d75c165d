/**
 * Which part of a source a streamer reads, where several share it.
 *
 * N streamers read the same source and each keeps the rows that are its own. Who owns a row depends on the row and on N
 * alone, so that nobody has to agree on anything: every row has exactly one owner, whatever N is.
 */
import { Schema } from "effect"

/** Streamers that may share a source: their numbers fit into the last three digits of a time. */
export const shardsMax = 1_000

/** What decides who owns a row: its host, or nothing, where every streamer reads everything. */
export const ShardBy = Schema.Literal("host", "none")
export type ShardBy = typeof ShardBy.Type

/** One of `count` streamers, the `index`th from 0. */
export interface Shard {
  readonly index: number
  readonly count: number
  readonly by: ShardBy
}

/** The only streamer of a source. */
export const wholeSource: Shard = { index: 0, count: 1, by: "host" }

/** The streamers that share a source, or, with `none`, each read all of it. */
export const shardsOf = (count: number, by: ShardBy): ReadonlyArray<Shard> =>
  Array.from({ length: count }, (_, index) => ({ index, count, by }))

/** A shard as a position carries it and a message shows it: `0/4`, `0/4 none`. */
export const formatShard = ({ index, count, by }: Shard): string =>
  by === "host" || count === 1 ? `${index}/${count}` : `${index}/${count} ${by}`

/** Whether a streamer keeps every row, so that nobody needs to ask whose a row is. */
export const ownsEverything = ({ count, by }: Shard): boolean => by === "none" || count === 1

const utf8Encoder = new TextEncoder()

/**
 * FNV-1a, 32 bits, of a text's UTF-8 (http://www.isthe.com/chongo/tech/comp/fnv/): any language computes the same owner.
 * Names that count up, as those of hosts do, it spreads more evenly than a hash that scatters.
 */
export const fnv1a32 = (text: string): number => {
  let hash = 0x811c9dc5
  for (const byte of utf8Encoder.encode(text)) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash >>> 0
}

/**
 * Whether a row of a host belongs to a shard; rows without a host are known by their GPU's uuid. `hash` is `fnv1a32`, or
 * one that remembers what it gave.
 */
export const ownsHost = (shard: Shard, hostname: string, uuid: string, hash = fnv1a32): boolean =>
  ownsEverything(shard) || hash(hostname === "" ? uuid : hostname) % shard.count === shard.index

/** Whether a row that can't be read belongs to a shard: by its number in the source. */
export const ownsRow = (shard: Shard, row: number): boolean =>
  ownsEverything(shard) || row % shard.count === shard.index
