/** The ids of the streamers, or the collectors, of one process. */

/** Characters that an id may have in settings, so that with what is put behind it, it is still an id. */
export const idCharsMax = 252

/** The id itself for one, and `<id>-0` to `<id>-<count - 1>` for several: the same after every restart. */
export const instanceIds = (id: string, count: number): ReadonlyArray<string> =>
  count === 1 ? [id] : Array.from({ length: count }, (_, index) => `${id}-${index}`)
