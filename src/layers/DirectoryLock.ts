/**
 * Makes a folder this process's own until the process ends, however it does.
 *
 * Node has no file locks; SQLite does: a transaction has one on a file of its own, and the operating system drops it with the process.
 * It knows nothing of Effect, so that a thread that has the file of a store open starts quickly.
 */
import { join } from "node:path"
import Database from "libsql"
import { makeFolder } from "./Folders.ts"

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/** Whether a statement failed because another process has the database. */
const isBusy = (cause: unknown): boolean => /database is (locked|busy)/.test(messageOf(cause))

/**
 * Takes the lock of that name in a folder, which is made where it is missing; `close` gives it back. Throws an error that
 * says what is in the way.
 */
export const lockDirectory = (directory: string, name: string): { readonly close: () => void } => {
  try {
    makeFolder(directory)
  } catch (cause) {
    throw new Error(`the folder can't be made: ${messageOf(cause)}`)
  }
  const file = join(directory, name)
  let lock: Database.Database
  try {
    lock = new Database(file, { timeout: 0 })
  } catch (cause) {
    throw new Error(`${file} can't be opened: ${messageOf(cause)}`)
  }
  try {
    lock.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE")
  } catch (cause) {
    lock.close()
    if (isBusy(cause)) throw new Error("another process uses this folder")
    throw cause
  }
  return lock
}
