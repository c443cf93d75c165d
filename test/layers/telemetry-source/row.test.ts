import { it } from "@effect/vitest"
import { expect } from "vitest"
import { readHeader } from "../../../src/layers/telemetry-source/csv-header.ts"
import { makeRowReader } from "../../../src/layers/telemetry-source/row.ts"
import { headerLine } from "./csv-harness.ts"

const headerOf = (line: string) => {
  const header = readHeader(line.split(","))
  if (typeof header === "string") throw new Error(header)
  return header
}

const header = headerOf(headerLine)
const good: Record<string, string> = {
  timestamp: "2025-07-18T22:42:34.123456789+02:00",
  metric_name: "DCGM_FI_DEV_GPU_UTIL",
  gpu_id: "3",
  device: "nvidia3",
  uuid: "GPU-1",
  modelName: "NVIDIA H100",
  Hostname: "host, \u0000",
  container: "",
  pod: " pod ",
  namespace: "",
  value: "100",
  labels_raw: 'job="a",bad,Hostname="x"'
}
const cellsOf = (change: Record<string, string> = {}) =>
  headerLine.split(",").map((name) => ({ ...good, ...change })[name]!)

it("a good row is read exactly, its texts as they are", () => {
  expect(makeRowReader("original").read(header, cellsOf())).toEqual({
    series: {
      metricName: "DCGM_FI_DEV_GPU_UTIL",
      uuid: "GPU-1",
      hostname: "host, \u0000",
      gpuId: 3,
      device: "nvidia3",
      modelName: "NVIDIA H100",
      container: "",
      pod: " pod ",
      namespace: "",
      labels: [["job", "a"]]
    },
    value: 100,
    timeNs: 1752871354123456789n,
    malformedLabels: ["bad"]
  })
})

it("rows of a series share one object, and its malformed labels are told with each", () => {
  const { read } = makeRowReader("now")
  const first = read(header, cellsOf())
  const second = read(header, cellsOf({ value: "1", timestamp: "never" }))
  const other = read(header, cellsOf({ pod: "", container: " pod " }))
  if (typeof first === "string" || typeof second === "string" || typeof other === "string") throw new Error()
  expect(second.series).toBe(first.series)
  expect(second.malformedLabels).toEqual(["bad"])
  expect(second.timeNs).toBeUndefined()
  expect(other.series).not.toEqual(first.series)
})

it("of several things that are wrong with a row the first of the contract is its reason", () => {
  const { read } = makeRowReader("original")
  const wrong: ReadonlyArray<readonly [change: Record<string, string>, reason: string]> = [
    [{ timestamp: "2025-07-18" }, "bad_timestamp"],
    [{ value: "808334905" }, "out_of_range"],
    [{ value: "2147483632" }, "sentinel"],
    [{ value: "1,5" }, "bad_value"],
    [{ gpu_id: "1.0" }, "bad_gpu_id"],
    [{ metric_name: " " }, "empty_metric_name"],
    [{ uuid: "" }, "empty_uuid"]
  ]
  let change = {}
  for (const [next, reason] of wrong) {
    change = { ...change, ...next }
    expect(read(header, cellsOf(next)), reason).toBe(reason)
    expect(read(header, cellsOf(change)), reason).toBe(reason)
  }
})

it("a GPU index is an integer of at least 0", () => {
  const { read } = makeRowReader("now")
  for (const gpu_id of ["", "-1", "+1", "0x1", "1e1", "x", "9007199254740992"]) {
    expect(read(header, cellsOf({ gpu_id })), gpu_id).toBe("bad_gpu_id")
  }
  expect(read(header, cellsOf({ gpu_id: " 007 " }))).toMatchObject({ series: { gpuId: 7 } })
})

it("ranges are those of the metric's unit, inclusive", () => {
  const { read } = makeRowReader("now")
  const isOut = (metric_name: string, value: string) =>
    read(header, cellsOf({ metric_name, value })) === "out_of_range"
  expect(["0", "100", "100.0001", "-1"].map((v) => isOut("DCGM_FI_DEV_GPU_UTIL", v))).toEqual([
    false,
    false,
    true,
    true
  ])
  expect(["0", "1", "1.01", "-0.1"].map((v) => isOut("DCGM_FI_PROF_DRAM_ACTIVE", v))).toEqual([
    false,
    false,
    true,
    true
  ])
  expect(["-40", "1e30"].map((v) => isOut("DCGM_FI_DEV_GPU_TEMP", v))).toEqual([false, false])
  expect(isOut("SOMETHING_ELSE", "-1e9")).toBe(false)
})

it("header names are trimmed and without case; missing columns are empty, and GPU 0", () => {
  const sparse = headerOf(" UUID ,other,Metric_Name,VALUE")
  expect(makeRowReader("now").read(sparse, ["GPU-1", "?", "M", "1"])).toMatchObject({
    series: { uuid: "GPU-1", metricName: "M", gpuId: 0, hostname: "", labels: [] },
    value: 1
  })
  expect(makeRowReader("original").read(sparse, ["GPU-1", "?", "M", "1"])).toBe("bad_timestamp")
})

it("a header that rows can't be read by is refused, and says why", () => {
  expect(readHeader(["uuid", "value", "x"])).toBe(
    "has no column metric_name in its header (required: uuid, metric_name, value)"
  )
  expect(readHeader(["a"])).toContain("has no column uuid, metric_name, value")
  expect(readHeader(["uuid", "metric_name", "value", "Value "])).toBe(
    "has two columns named value in its header"
  )
})
