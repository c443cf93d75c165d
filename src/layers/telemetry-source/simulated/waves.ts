/**
 * A load over time, its sum since it began, and how something slow follows it, each in closed form: the value at any
 * time costs the same, however much went before.
 *
 * A load is a mean, a wave of a day about it, and dips out of it that recur. Everything here is linear in the load, so
 * that each part is followed on its own.
 */

export const dayS = 86_400
const angularVelocity = (2 * Math.PI) / dayS
/** When the wave of a day is highest: three in the afternoon. */
const peakS = 15 * 3_600

/** Falls by `depth`, in the last `lengthS` of every `periodS`. */
export interface Dips {
  readonly periodS: number
  readonly lengthS: number
  readonly depth: number
}

export interface Load {
  readonly mean: number
  /** How far the wave of a day rises above the mean and falls below it. */
  readonly swing: number
  readonly dips: ReadonlyArray<Dips>
  /** The time of the day at which it begins. */
  readonly beginsS: number
}

/** The wave of a day at a time of the day, from -1 to 1. */
export const dayWave = (timeOfDayS: number): number => Math.cos(angularVelocity * (timeOfDayS - peakS))

/** How deep a dip is `s` seconds after the first period began. */
export const dipAt = ({ periodS, lengthS, depth }: Dips, s: number): number =>
  s % periodS >= periodS - lengthS ? depth : 0

const dipSum = ({ periodS, lengthS, depth }: Dips, s: number): number => {
  const periods = Math.floor(s / periodS)
  const inLast = s - periods * periodS - (periodS - lengthS)
  return depth * (periods * lengthS + Math.max(0, inLast))
}

const dipFollowed = ({ periodS, lengthS, depth }: Dips, s: number, lagS: number): number => {
  const periods = Math.floor(s / periodS)
  const perDip = 1 - Math.exp(-lengthS / lagS)
  const kept = Math.exp(-periodS / lagS)
  // Each dip before leaves a remainder that shrinks from period to period: a geometric series.
  const atPeriodStart = (perDip * (1 - kept ** periods)) / (1 - kept)
  const inPeriodS = s - periods * periodS
  const intoDipS = inPeriodS - (periodS - lengthS)
  const before = atPeriodStart * Math.exp(-Math.min(inPeriodS, periodS - lengthS) / lagS)
  return depth * (intoDipS <= 0 ? before : 1 - (1 - before) * Math.exp(-intoDipS / lagS))
}

/** A load `s` seconds after it began. */
export const loadAt = ({ mean, swing, dips, beginsS }: Load, s: number): number => {
  let load = mean
  if (swing !== 0) load += swing * dayWave(beginsS + s)
  for (const dip of dips) load -= dipAt(dip, s)
  return load
}

/** The sum of a load from its beginning on, in seconds of full load. */
export const loadSum = ({ mean, swing, dips, beginsS }: Load, s: number): number => {
  let sum = mean * s
  if (swing !== 0) {
    const primitive = (timeOfDayS: number) => Math.sin(angularVelocity * (timeOfDayS - peakS))
    sum += (swing / angularVelocity) * (primitive(beginsS + s) - primitive(beginsS))
  }
  for (const dip of dips) sum -= dipSum(dip, s)
  return sum
}

/** A first-order low-pass of a load that begins at 0: `d/ds followed = (load - followed) / lagS`. */
export const loadFollowed = ({ mean, swing, dips, beginsS }: Load, s: number, lagS: number): number => {
  const forgotten = Math.exp(-s / lagS)
  let followed = mean * (1 - forgotten)
  if (swing !== 0) {
    const turn = angularVelocity * lagS
    const settled = (timeOfDayS: number) =>
      Math.cos(angularVelocity * (timeOfDayS - peakS) - Math.atan(turn)) / Math.sqrt(1 + turn * turn)
    followed += swing * (settled(beginsS + s) - settled(beginsS) * forgotten)
  }
  for (const dip of dips) followed -= dipFollowed(dip, s, lagS)
  return followed
}
