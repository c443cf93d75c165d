/**
 * The DCGM fields that the product knows: type, unit and meaning.
 *
 * Names, types and units are those of the default counters of NVIDIA's dcgm-exporter (etc/default-counters.csv), of
 * which those of ECC errors stand there commented out, and the DCGM field identifiers (dcgm_fields.h). A metric that is
 * not in here is stored like any other; it has no unit.
 */

export type MetricType = "gauge" | "counter"
export type MetricUnit =
  | "MHz"
  | "celsius"
  | "watts"
  | "millijoules"
  | "percent"
  | "ratio"
  | "MiB"
  | "bytes_per_second"
  | "none"

export interface DcgmMetric {
  readonly name: string
  readonly type: MetricType
  readonly unit: MetricUnit
  readonly help: string
}

const metric = (name: string, type: MetricType, unit: MetricUnit, help: string): DcgmMetric => ({
  name,
  type,
  unit,
  help
})

const metrics: ReadonlyArray<DcgmMetric> = [
  metric("DCGM_FI_DEV_SM_CLOCK", "gauge", "MHz", "Clock frequency of the streaming multiprocessors"),
  metric("DCGM_FI_DEV_MEM_CLOCK", "gauge", "MHz", "Clock frequency of the memory"),
  metric("DCGM_FI_DEV_MEMORY_TEMP", "gauge", "celsius", "Temperature of the memory"),
  metric("DCGM_FI_DEV_GPU_TEMP", "gauge", "celsius", "Temperature of the GPU"),
  metric("DCGM_FI_DEV_POWER_USAGE", "gauge", "watts", "Power draw"),
  metric(
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
    "counter",
    "millijoules",
    "Energy used since the driver was loaded"
  ),
  metric("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", "counter", "none", "PCIe retries"),
  metric("DCGM_FI_DEV_GPU_UTIL", "gauge", "percent", "Share of time in which a kernel was running"),
  metric(
    "DCGM_FI_DEV_MEM_COPY_UTIL",
    "gauge",
    "percent",
    "Share of time in which memory was read or written"
  ),
  metric("DCGM_FI_DEV_ENC_UTIL", "gauge", "percent", "Utilisation of the video encoder"),
  metric("DCGM_FI_DEV_DEC_UTIL", "gauge", "percent", "Utilisation of the video decoder"),
  metric("DCGM_FI_DEV_XID_ERRORS", "gauge", "none", "Code of the last XID error"),
  metric("DCGM_FI_DEV_FB_FREE", "gauge", "MiB", "Frame buffer memory that is free"),
  metric("DCGM_FI_DEV_FB_USED", "gauge", "MiB", "Frame buffer memory in use"),
  metric("DCGM_FI_DEV_FB_RESERVED", "gauge", "MiB", "Frame buffer memory that the driver keeps for itself"),
  metric("DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", "counter", "none", "NVLink traffic over all lanes"),
  metric("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", "counter", "none", "Single-bit memory errors that were corrected"),
  metric("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", "counter", "none", "Double-bit memory errors, which can't be"),
  metric("DCGM_FI_DEV_VGPU_LICENSE_STATUS", "gauge", "none", "Status of the vGPU licence"),
  metric(
    "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
    "counter",
    "none",
    "Memory rows remapped for uncorrectable errors"
  ),
  metric(
    "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS",
    "counter",
    "none",
    "Memory rows remapped for correctable errors"
  ),
  metric("DCGM_FI_DEV_ROW_REMAP_FAILURE", "gauge", "none", "Whether remapping of memory rows has failed"),
  metric(
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
    "gauge",
    "ratio",
    "Share of time in which the graphics or compute engine was active"
  ),
  metric(
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
    "gauge",
    "ratio",
    "Share of cycles in which the tensor cores were active"
  ),
  metric(
    "DCGM_FI_PROF_DRAM_ACTIVE",
    "gauge",
    "ratio",
    "Share of cycles in which the memory interface was active"
  ),
  metric("DCGM_FI_PROF_PCIE_TX_BYTES", "gauge", "bytes_per_second", "Rate of data sent over PCIe"),
  metric("DCGM_FI_PROF_PCIE_RX_BYTES", "gauge", "bytes_per_second", "Rate of data received over PCIe")
]

/** Every known metric, by name. */
export const dcgmCatalogue: ReadonlyMap<string, DcgmMetric> = new Map(metrics.map((m) => [m.name, m]))

/** The values that a unit allows, inclusive; `undefined` where any finite number may occur. */
export const unitRange = (unit: MetricUnit): readonly [min: number, max: number] | undefined =>
  unit === "percent" ? [0, 100] : unit === "ratio" ? [0, 1] : undefined
