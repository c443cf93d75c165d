/** `npm run fuzz [-- frames [seed]]`: a million random and damaged frames against a server (bench/fuzz/main.ts). */
import { runBundled } from "../bench/Bundle.ts"

process.exitCode = await runBundled("fuzz/main", process.argv.slice(2))
