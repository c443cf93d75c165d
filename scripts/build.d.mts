/** Packages that the program loads and does not hold: they come with a binary for each platform. */
export const native: ReadonlyArray<string>
/** Writes the program into a folder; fails with what esbuild has to say. */
export const bundle: (folder?: string) => Promise<void>
/** Writes the library into a folder, afresh. */
export const library: (folder?: string) => Promise<void>
