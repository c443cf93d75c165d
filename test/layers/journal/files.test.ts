import { Layer } from "effect"
import * as Files from "../../../src/layers/Files.ts"
import { FileJournalConfig, layerFiles } from "../../../src/layers/journal/files.ts"
import { journalContract } from "../../contracts/Journal.contract.ts"
import { inDirectory } from "../Directories.ts"

for (const fsync of ["always", "interval", "never"] as const) {
  journalContract(
    `in files, fsync ${fsync}`,
    inDirectory((directory) =>
      Layer.provide(layerFiles, [FileJournalConfig.layer({ directory, fsync }), Files.layerNode])
    )
  )
}
