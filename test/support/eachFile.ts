import { it, makeMethods } from "@effect/vitest"

// Before each file: `layer` puts the methods of its own runtime on the one `it` that all files of a worker share.
makeMethods(it)
