/** The file of samples that the product ships: one folder up, from here as from the bundle. */
import { fileURLToPath } from "node:url"

export const shippedSample = fileURLToPath(new URL("../deploy/sample/dcgm_metrics.csv", import.meta.url))
