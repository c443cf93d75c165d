/**
 * The image's health check: `telemetry-pipeline health` in a file of its own. It is started again and again beside every
 * process, and reading all of the program for it would cost three times as much.
 */
import { Effect } from "effect"
import { health } from "./commands/health.ts"
import { load } from "./layers/Setting.ts"
import { healthSettings } from "./layers/settings/commands.ts"
import { runProcess } from "./process.ts"

runProcess(Effect.flatMap(load(healthSettings.config), (settings) => health(settings, [])))
