/** `npm run soak -- --minutes 5 [--messages 1000000] [--seed 1] [--retention-bytes 16777216]` (bench/soak/main.ts). */
import { runBundled } from "./Bundle.ts"

process.exitCode = await runBundled("soak/main", process.argv.slice(2))
