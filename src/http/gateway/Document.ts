/** What the OpenAPI document says of the export that the endpoint's schema alone does not. */
import type { Json } from "../Document.ts"
import { csvHeader } from "./ExportFormats.ts"

const row =
  "2025-07-18T20:42:34Z,DCGM_FI_DEV_GPU_UTIL,0,nvidia0,GPU-5fd4f087,NVIDIA H100 80GB HBM3,mtv5-dgx1-hgpu-031,,,,100"

/** Adds the formats that are not JSON, and the header that names the file, to the operation that exports. */
export const describeExport = (operation: Json): Json => {
  const ok = operation.responses[200]
  ok.headers = {
    "Content-Disposition": {
      description: "Name to save the answer under",
      schema: { type: "string", examples: ["attachment; filename=telemetry-GPU-5fd4f087.csv"] }
    }
  }
  ok.content = {
    ...ok.content,
    "text/csv": {
      schema: {
        type: "string",
        description:
          "One line per sample (LF) behind a header. A text that a spreadsheet would run as a formula is preceded by an apostrophe",
        examples: [`${csvHeader}\n${row}\n`]
      }
    },
    "application/x-ndjson": {
      schema: {
        type: "string",
        description: "One metric object per line",
        examples: ['{"timestamp":"2025-07-18T20:42:34Z","metric_name":"DCGM_FI_DEV_GPU_UTIL","value":100}\n']
      }
    }
  }
  return operation
}
