/**
 * What a request to the gateway may say: path and query parameters, each with what it accepts.
 *
 * Parameters that are not declared are ignored; a declared one that is repeated is refused, as there is no telling which
 * was meant. An empty text filter restricts nothing, as in the earlier system.
 */
import { ParseResult, Schema } from "effect"
import { formatDurationNs, parseDurationNs } from "../../protocol/Duration.ts"
import { aggregateWindowMsMax, aggregateWindowMsMin } from "../../protocol/Limits.ts"
import { formatTime, parseTime } from "../../protocol/Time.ts"
import { aggregates, groupings } from "../../protocol/Window.ts"
import { shown } from "../Problem.ts"

interface Parameter<A> {
  readonly description: string
  /** What is accepted, as a noun phrase: `a whole number of at least 1`. */
  readonly accepted: string
  /** As it stands in a URL. */
  readonly example: string | number
  readonly jsonSchema: { readonly type: string; readonly [keyword: string]: unknown }
  readonly value: Schema.Schema<A>
  /** `undefined` where the text is not accepted. */
  readonly parse: (text: string) => A | undefined
  readonly print: (value: A) => string
}

const parameter = <A>(options: Parameter<A>): Schema.Schema<A, string> =>
  Schema.transformOrFail(Schema.String, options.value, {
    strict: true,
    decode: (text, _, ast) => {
      const value = options.parse(text)
      return value === undefined
        ? ParseResult.fail(new ParseResult.Type(ast, text))
        : ParseResult.succeed(value)
    },
    encode: (value) => ParseResult.succeed(options.print(value))
  }).annotations({
    jsonSchema: {
      ...options.jsonSchema,
      description: `${options.description}. Accepts ${options.accepted}.`,
      examples: [options.example]
    },
    message: (issue) => ({
      message: `expected ${options.accepted}, got ${shown(issue.actual)}`,
      override: true
    })
  })

const wholeNumber = (
  options: Pick<Parameter<number>, "description" | "example"> & { minimum: number; default?: number }
) =>
  parameter({
    description: options.description,
    example: options.example,
    accepted: `a whole number of at least ${options.minimum}`,
    jsonSchema: { type: "integer", minimum: options.minimum },
    value: Schema.Number,
    parse: (text) => {
      if (!/^\d+$/.test(text)) return undefined
      // A number beyond what is exact is as good as the largest that is: both are beyond every bound.
      const number = Math.min(Number(text), Number.MAX_SAFE_INTEGER)
      return number < options.minimum ? undefined : number
    },
    print: String
  })

const instant = (description: string, example: string) =>
  parameter({
    description,
    example,
    accepted: "an RFC 3339 instant, as 2025-07-18T20:42:34.5Z",
    jsonSchema: { type: "string", format: "date-time" },
    value: Schema.BigIntFromSelf,
    parse: parseTime,
    print: formatTime
  })

const text = (description: string, example: string) =>
  parameter({
    description,
    example,
    accepted: "any text; an empty one restricts nothing",
    jsonSchema: { type: "string" },
    value: Schema.String,
    parse: (value) => value,
    print: (value) => value
  })

/** One of some words; the first is what counts without it, where there is such a thing. */
const oneOf = <const Literals extends readonly [string, ...Array<string>]>(
  literals: Literals,
  description: string,
  { hasDefault }: { readonly hasDefault: boolean } = { hasDefault: true }
) =>
  parameter<Literals[number]>({
    description,
    example: literals[0],
    accepted: `one of ${literals.join(", ")}`,
    jsonSchema: { type: "string", enum: literals, ...(hasDefault ? { default: literals[0] } : {}) },
    value: Schema.Literal(...literals),
    parse: (value) => literals.find((literal) => literal === value),
    print: (value) => value
  })

const hostname = Schema.optional(text("Only what has this hostname", "mtv5-dgx1-hgpu-031"))
const cursor = Schema.optional(
  parameter({
    description:
      "Goes on behind the page that gave this `next_cursor`; every other parameter but `limit` must be as it was for that page",
    example: "WyJ2dzRPd0JzbW9Jb2NKVFhEIiwiR1BVLTVmZDRmMDg3Il0",
    accepted: "a `next_cursor` of the same query",
    jsonSchema: { type: "string" },
    value: Schema.String,
    parse: (value) => value,
    print: (value) => value
  })
)
const offset = Schema.optional(
  wholeNumber({
    description: "Rows to skip from the beginning of the result; not together with `cursor`",
    example: 0,
    minimum: 0
  })
)

/** `{id}` in a path. */
export const GpuPath = Schema.Struct({
  id: Schema.String.annotations({
    description: "UUID of the GPU",
    examples: ["GPU-5fd4f087-86f3-7a43-b711-4771313afc50"]
  })
})

export const GpusParameters = Schema.Struct({
  hostname,
  model_name: Schema.optional(text("Only GPUs of this model", "NVIDIA H100 80GB HBM3")),
  limit: Schema.optional(
    wholeNumber({
      description: "GPUs of this page at most; all without it, and never more than MAX_LIMIT with it",
      example: 50,
      minimum: 1
    })
  ),
  offset,
  cursor
})
export interface GpusParameters extends Schema.Schema.Type<typeof GpusParameters> {}

const filters = {
  start_time: Schema.optional(instant("Only samples at or after this instant", "2025-07-18T20:42:34Z")),
  end_time: Schema.optional(instant("Only samples at or before this instant", "2025-07-18T20:52:34Z")),
  metric_name: Schema.optional(text("Only samples of this metric", "DCGM_FI_DEV_GPU_UTIL")),
  hostname,
  gpu_id: Schema.optional(
    wholeNumber({
      description: "Only samples with this index of the GPU on its host",
      example: 0,
      minimum: 0
    })
  ),
  order: Schema.optional(
    oneOf(
      ["desc", "asc"],
      "Newest first, or oldest first. Samples of one instant follow by metric, UUID and the remaining tags"
    )
  )
}

const windowNsMin = BigInt(aggregateWindowMsMin) * 1_000_000n
const windowNsMax = BigInt(aggregateWindowMsMax) * 1_000_000n

/** Both or neither. */
const aggregation = {
  window: Schema.optional(
    parameter({
      description:
        "Length of the windows that samples are aggregated in; only together with `aggregate`. Windows are aligned to the Unix epoch, and ordered by start, metric and group",
      example: "1m",
      accepted: `a duration from ${formatDurationNs(windowNsMin)} to ${formatDurationNs(windowNsMax)}, as 30s or 1h30m`,
      jsonSchema: { type: "string" },
      value: Schema.BigIntFromSelf,
      parse: (text) => {
        const ns = parseDurationNs(text)
        return ns === undefined || ns < windowNsMin || ns > windowNsMax ? undefined : ns
      },
      print: formatDurationNs
    })
  ),
  aggregate: Schema.optional(
    oneOf(
      aggregates,
      "What the values of a window become; only together with `window`. A percentile lies between two values by linear interpolation",
      { hasDefault: false }
    )
  )
}

const paging = {
  limit: Schema.optional(
    wholeNumber({
      description: "Rows of this page at most: DEFAULT_LIMIT without it, and never more than MAX_LIMIT",
      example: 100,
      minimum: 1
    })
  ),
  offset,
  cursor
}

export const TelemetryParameters = Schema.Struct({ ...filters, ...aggregation, ...paging })
export interface TelemetryParameters extends Schema.Schema.Type<typeof TelemetryParameters> {}

export const FleetTelemetryParameters = Schema.Struct({
  uuid: Schema.optional(
    text("Only samples of the GPU with this UUID", "GPU-5fd4f087-86f3-7a43-b711-4771313afc50")
  ),
  ...filters,
  ...aggregation,
  group_by: Schema.optional(
    oneOf(
      groupings,
      "What the samples of a metric are told apart by in a window; `metric` takes all of them together. Only together with `window`"
    )
  ),
  ...paging
})
export interface FleetTelemetryParameters extends Schema.Schema.Type<typeof FleetTelemetryParameters> {}

export const ExportParameters = Schema.Struct({
  ...filters,
  format: Schema.optional(oneOf(["json", "csv", "ndjson"], "Format of the answer"))
})
export interface ExportParameters extends Schema.Schema.Type<typeof ExportParameters> {}
export type TelemetryFilters = Omit<ExportParameters, "format">
