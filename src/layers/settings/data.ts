/** The folder of what outlives a process: each of its parts has a folder of its own in it. */
import { join } from "node:path"
import { group, makeLate } from "../Setting.ts"
import { text } from "./kinds.ts"

export const dataDir = makeLate({
  env: "DATA_DIR",
  flag: "data",
  meaning: "Folder of what outlives the process; it is made where it is missing",
  kind: text("DIR", 4_096),
  default: () => undefined,
  shown: "no folder"
})

export const dataSettings = group("Store", { dataDir })

/** The folders in it, each of one process at a time. */
export const logFolder = (directory: string): string => join(directory, "broker", "log")
export const journalFolder = (directory: string): string => join(directory, "broker", "journal")
export const storeFolder = (directory: string): string => join(directory, "store")
