/** Runs before every test file: property failures print the seed that replays them. */
import * as FastCheck from "effect/FastCheck"

const seed = process.env.FC_SEED
FastCheck.configureGlobal(seed === undefined ? {} : { seed: Number(seed) })
