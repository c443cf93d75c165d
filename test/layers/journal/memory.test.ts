import { layerMemory } from "../../../src/layers/journal/memory.ts"
import { journalContract } from "../../contracts/Journal.contract.ts"

journalContract("in memory", layerMemory)
