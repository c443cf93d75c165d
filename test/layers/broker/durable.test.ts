/** The embedded broker over segments and journals in files: the contract of every broker. */
import { brokerContract } from "../../contracts/Broker.contract.ts"
import { layerOnFiles } from "./Ground.ts"

brokerContract("segments and a journal in files", layerOnFiles)
