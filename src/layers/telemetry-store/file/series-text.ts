/** A series as the text that `seriesKey` makes of it, which is also how the file keeps it. */
import type { Series } from "../../../protocol/Series.ts"

/** The series that a `seriesKey` is of. */
export const parseSeries = (key: string): Series => {
  const [metricName, uuid, hostname, gpuId, device, modelName, container, pod, namespace, labels] =
    JSON.parse(key)
  return {
    metricName,
    uuid,
    hostname,
    gpuId: gpuId ?? undefined,
    device,
    modelName,
    container,
    pod,
    namespace,
    labels
  }
}
