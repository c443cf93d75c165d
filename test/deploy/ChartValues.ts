/** Values of the chart: put together as Helm does, and looked for where they are to arrive. */
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { isDeepStrictEqual } from "node:util"
import { parse } from "yaml"
import { chart } from "./Chart.ts"
import { type KubernetesObject, nameOf } from "./ChartObjects.ts"

/** Values as YAML has them. */
export type Values = ReturnType<typeof parse>

export interface Arrival {
  /** The path of the value. */
  readonly value: string
  /** The object, as Kind/name, or as Kind where there is one of it. */
  readonly object: string
  /** The path in it; entries of a list are by their number or their name. */
  readonly path: string
  /** What arrives: the value itself, and nothing of an empty one, unless it says otherwise. */
  readonly as?: (value: Values, values: Values) => unknown
  /** With which values it is looked at; with all of them where it does not say. */
  readonly where?: (values: Values) => boolean
}

const isMap = (value: Values): boolean => typeof value === "object" && value !== null && !Array.isArray(value)

/** Values above others, as Helm puts them: maps are merged, and null takes away. */
export const merged = (below: Values, above: Values): Values =>
  !isMap(below) || !isMap(above)
    ? above
    : Object.fromEntries(
        [...new Set([...Object.keys(below), ...Object.keys(above)])]
          .map((key) => [key, key in above ? merged(below[key], above[key]) : below[key]])
          .filter(([, value]) => value !== null)
      )

/** The values of a table, above those of the chart. */
export const valuesOf = async (file?: string): Promise<Values> => {
  const read = async (path: string) => parse(await readFile(path, "utf8"))
  const below = await read(join(chart, "values.yaml"))
  return file === undefined ? below : merged(below, await read(file))
}

/** What is at a path. */
export const at = (value: Values, path: string): Values =>
  path
    .split(".")
    .reduce(
      (of, key) =>
        Array.isArray(of) && !/^\d+$/.test(key) ? of.find(({ name }) => name === key) : of?.[key],
      value
    )

/** An empty value is nothing. */
const given = (value: Values): unknown =>
  value === "" || (typeof value === "object" && value !== null && Object.keys(value).length === 0)
    ? undefined
    : value

/** What has to be at the path of an arrival. */
export const expected = ({ value, as = given }: Arrival, values: Values): unknown =>
  given(as(at(values, value), values))

export const isLookedAt = ({ where }: Arrival, values: Values): boolean => where?.(values) ?? true

const isOf = (object: KubernetesObject, name: string): boolean =>
  nameOf(object) === name || object.kind === name

/** Labels and annotations may have others beside them. */
const arrives = (path: string, actual: Values, wanted: Values): boolean =>
  /\.(labels|annotations)$/.test(path) && isMap(wanted)
    ? Object.entries(wanted).every(([key, value]) => actual?.[key] === value)
    : isDeepStrictEqual(actual, wanted) || /\.(labels|annotations)$/.test(path)

/** Values that are not where they are to arrive. */
export const astray = (
  arrivals: ReadonlyArray<Arrival>,
  objects: ReadonlyArray<KubernetesObject>,
  values: Values
): ReadonlyArray<string> =>
  arrivals
    .filter((arrival) => isLookedAt(arrival, values))
    .flatMap((arrival) => {
      const { value, object, path } = arrival
      const [found] = objects.filter((of) => isOf(of, object))
      const wanted = expected(arrival, values)
      const actual = at(found, path)
      return arrives(path, actual, wanted)
        ? []
        : [`${value}: ${object} ${path} is ${JSON.stringify(actual)} and not ${JSON.stringify(wanted)}`]
    })

/** Takes what is at a path out of an object. */
export const takeOut = (objects: ReadonlyArray<KubernetesObject>, { object, path }: Arrival): void => {
  const keys = path.split(".")
  const last = keys.pop()!
  const found = objects.find((of) => isOf(of, object))
  const parent = keys.length === 0 ? found : at(found, keys.join("."))
  const key =
    Array.isArray(parent) && !/^\d+$/.test(last) ? parent.findIndex(({ name }) => name === last) : last
  delete parent[key]
}
