/** Writes the bundle; fails with what esbuild has to say. */
export const bundle: () => Promise<void>
