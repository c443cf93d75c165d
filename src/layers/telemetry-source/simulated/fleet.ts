/**
 * A fleet of simulated GPUs: which series it has, and what each GPU is doing in each pass.
 *
 * Everything is a function of what describes the fleet and of the pass alone, so that reading can go on anywhere without
 * going through what came before. What is kept in memory only saves working it out again.
 */
import { type Series, sortLabels } from "../../../protocol/Series.ts"
import type { FaultName } from "./faults.ts"
import { type GpuState, makeGpu, simulatedMetricNames } from "./gpu.ts"
import { keyOf } from "./random.ts"
import { type Job, makeTimetable, type Timetable } from "./timetable.ts"
import type { WorkloadKind } from "./workloads.ts"

/** What makes a fleet that fleet. */
export interface FleetDescription {
  readonly hosts: number
  readonly gpusPerHost: number
  /** An integer; the same seed gives the same fleet with the same values. */
  readonly seed: number
  /** Simulated time between two passes, in whole milliseconds. */
  readonly intervalMs: number
}

export interface SimulatedFleet {
  /** Rows of a pass: GPU by GPU, in the order of `simulatedMetricNames`. */
  readonly rowsPerPass: number
  readonly hostnames: ReadonlyArray<string>
  /** GPUs are counted through all hosts. */
  readonly stateOf: (gpu: number, pass: number) => GpuState
  /** A GPU's series while a job holds it, metric by metric: the same objects each time. */
  readonly seriesOf: (gpu: number, job: Job | undefined) => ReadonlyArray<Series>
}

/** What Kubernetes calls a job. */
const placeOf: Readonly<
  Record<WorkloadKind, { readonly pod: string; readonly container: string; readonly namespace: string }>
> = {
  training: { pod: "llm-pretraining", container: "trainer", namespace: "training" },
  simulation: { pod: "cfd-solver", container: "solver", namespace: "hpc" },
  inference: { pod: "chat-inference", container: "server", namespace: "serving" }
}

const uuidPurpose = 0
const hex = (word: number): string => word.toString(16).padStart(8, "0")

const uuidOf = (seed: number, gpu: number): string => {
  const digits = [0, 1, 2, 3].map((i) => hex(keyOf(seed, gpu, uuidPurpose + i))).join("")
  const parts = [[0, 8], [8, 12], [12, 16], [16, 20], [20]].map(([from, to]) => digits.slice(from, to))
  return `GPU-${parts.join("-")}`
}

const numbered = (name: string, number: number): string => `${name}-${String(number).padStart(3, "0")}`

/**
 * The series of a GPU while a job holds it. Pods have the names of a StatefulSet, by host and first GPU: they come again,
 * so that a GPU has a dozen series per metric at most, however long it runs.
 */
const makeSeries = (
  { seed, gpusPerHost }: FleetDescription,
  hostname: string,
  gpu: number,
  job: Job | undefined
): ReadonlyArray<Series> => {
  const gpuId = gpu % gpusPerHost
  const place = job === undefined ? undefined : placeOf[job.workload.kind]
  const hostNumber = Math.floor(gpu / gpusPerHost) + 1
  const shared = {
    uuid: uuidOf(seed, gpu),
    hostname,
    gpuId,
    device: `nvidia${gpuId}`,
    modelName: "NVIDIA H100 80GB HBM3",
    container: place?.container ?? "",
    pod: place === undefined ? "" : `${numbered(place.pod, hostNumber)}-${job!.firstGpu}`,
    namespace: place?.namespace ?? "",
    labels: sortLabels([
      ["DCGM_FI_DRIVER_VERSION", "535.129.03"],
      ["instance", `${hostname}:9400`],
      ["job", "dgx_dcgm_exporter"]
    ])
  }
  return simulatedMetricNames.map((metricName) => ({ metricName, ...shared }))
}

/** A fleet with those faults of its machines that are asked for. */
export const makeFleet = (
  description: FleetDescription,
  faults: ReadonlyArray<FaultName>
): SimulatedFleet => {
  const { hosts, gpusPerHost, seed, intervalMs } = description
  const hostnames = Array.from({ length: hosts }, (_, host) => numbered("sim-dgx", host + 1))
  const timetables: Array<Timetable> = []
  const gpus: Array<ReturnType<typeof makeGpu>> = []
  const series: Array<Map<string, ReadonlyArray<Series>>> = []

  const gpuOf = (gpu: number) => {
    const host = Math.floor(gpu / gpusPerHost)
    timetables[host] ??= makeTimetable(description, host, faults)
    gpus[gpu] ??= makeGpu(seed, { host, gpusPerHost, gpuId: gpu % gpusPerHost }, timetables[host])
    return gpus[gpu]
  }

  return {
    rowsPerPass: hosts * gpusPerHost * simulatedMetricNames.length,
    hostnames,
    stateOf: (gpu, pass) => gpuOf(gpu)(pass, (pass * intervalMs) / 1_000),
    seriesOf: (gpu, job) => {
      series[gpu] ??= new Map()
      const known = series[gpu]
      const name = job === undefined ? "" : `${job.workload.kind} ${job.firstGpu}`
      const made =
        known.get(name) ?? makeSeries(description, hostnames[Math.floor(gpu / gpusPerHost)]!, gpu, job)
      known.set(name, made)
      return made
    }
  }
}
