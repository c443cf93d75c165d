/**
 * Points that another collector wrote, by nothing but what CONTRACTS.md says of points: a gateway shows them, whatever their
 * time, and a gateway that is started anew shows the same.
 */
import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { GatewayAddress } from "../../src/http/Gateway.ts"
import { InfluxConfig, layerInflux } from "../../src/layers/telemetry-store/influx.ts"
import { freshBucket, isInfluxThere, post } from "../influx/Buckets.ts"
import { gatewayOver } from "./TestGateway.ts"

const lines = [
  "DCGM_FI_DEV_GPU_UTIL,uuid=GPU-a,hostname=host-1,gpu_id=3,device=nvidia3,model=NVIDIA\\ H100\\ 80GB\\ HBM3,job=dgx value=97.5 1752871354123456789",
  "DCGM_FI_DEV_GPU_TEMP,uuid=GPU-a,hostname=host-1,gpu_id=3,device=nvidia3,model=NVIDIA\\ H100\\ 80GB\\ HBM3,container=c,pod=p,namespace=n value=61 1752871354123456790",
  "DCGM_FI_DEV_GPU_TEMP,uuid=GPU-b,hostname=host\\,2,gpu_id=10 value=45 1752871353000000000"
]

const paths = [
  "/api/v1/gpus",
  "/api/v1/gpus/GPU-b/metrics",
  "/api/v1/gpus/GPU-a/metrics",
  "/api/v1/gpus/GPU-a/telemetry",
  "/api/v1/gpus/GPU-a/telemetry/export?format=csv",
  "/api/v1/gpus/GPU-b/telemetry?order=asc",
  "/api/v1/telemetry?window=1s&aggregate=max&group_by=metric",
  "/api/v1/metrics",
  "/api/v1/stats"
]

/** What a gateway over a store of its own answers to `path`, once that is as wanted. */
const asked = (path: string, isWanted: (text: string) => boolean = () => true) =>
  Effect.gen(function* () {
    const { url } = yield* GatewayAddress
    for (;;) {
      const text = yield* Effect.promise(async () => (await fetch(url + path)).text())
      if (isWanted(text)) return text
      yield* Effect.sleep(50)
    }
  })

it.scopedLive.skipIf(!isInfluxThere)(
  "points of another collector show up, with every digit of their time",
  () =>
    Effect.gen(function* () {
      const config = yield* InfluxConfig
      const gateway = gatewayOver(Layer.provide(layerInflux, Layer.succeed(InfluxConfig, config)))
      const first = yield* Effect.gen(function* () {
        expect(JSON.parse(yield* asked("/api/v1/gpus"))).toEqual({ data: [], count: 0, total: 0 })
        yield* post(config, lines)
        const stats = yield* asked("/api/v1/stats", (text) => JSON.parse(text).total_metrics === 3)
        expect(JSON.parse(stats)).toMatchObject({
          total_gpus: 2,
          oldest_metric: "2025-07-18T20:42:33Z",
          newest_metric: "2025-07-18T20:42:34.12345679Z"
        })
        return yield* Effect.forEach(paths, (path) => asked(path))
      }).pipe(Effect.provide(gateway))

      const [gpus, , metrics, telemetry, csv] = first
      expect(JSON.parse(gpus!).data).toEqual(["GPU-a", "GPU-b"])
      expect(JSON.parse(metrics!).data).toEqual(["DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_GPU_UTIL"])
      expect(JSON.parse(telemetry!).data).toEqual([
        {
          ...{ timestamp: "2025-07-18T20:42:34.12345679Z", metric_name: "DCGM_FI_DEV_GPU_TEMP", gpu_id: 3 },
          ...{ device: "nvidia3", uuid: "GPU-a", model_name: "NVIDIA H100 80GB HBM3", hostname: "host-1" },
          ...{ container: "c", pod: "p", namespace: "n", value: 61 }
        },
        {
          ...{ timestamp: "2025-07-18T20:42:34.123456789Z", metric_name: "DCGM_FI_DEV_GPU_UTIL", gpu_id: 3 },
          ...{ device: "nvidia3", uuid: "GPU-a", model_name: "NVIDIA H100 80GB HBM3", hostname: "host-1" },
          ...{ container: "", pod: "", namespace: "", value: 97.5, labels: { job: "dgx" } }
        }
      ])
      expect(csv!.split("\n")[1]).toBe(
        "2025-07-18T20:42:34.12345679Z,DCGM_FI_DEV_GPU_TEMP,3,nvidia3,GPU-a,NVIDIA H100 80GB HBM3,host-1,c,p,n,61"
      )
      // Another gateway, or this one started again, answers the same.
      const second = yield* Effect.provide(
        Effect.forEach(paths, (path) => asked(path)),
        gateway
      )
      expect(second).toEqual(first)
    }).pipe(Effect.provide(freshBucket()))
)
