import * as Effect from "effect/Effect"

interface Gate {
  open: boolean
  readonly waiting: Set<() => void>
}

/** Gates by name, closed until opened and then open for ever. A test holds a request at one, instead of sleeping. */
export const makeGates = () => {
  const gates = new Map<string, Gate>()
  const watchers = new Set<() => void>()

  const gateOf = (name: string): Gate => {
    const gate = gates.get(name) ?? { open: false, waiting: new Set() }
    gates.set(name, gate)
    return gate
  }
  const changed = () => {
    for (const watcher of watchers) watcher()
  }

  return {
    /** Completes when the gate is open. */
    pass: (name: string): Effect.Effect<void> =>
      Effect.async((resume) => {
        const gate = gateOf(name)
        if (gate.open) return resume(Effect.void)
        const release = () => resume(Effect.void)
        gate.waiting.add(release)
        changed()
        return Effect.sync(() => {
          gate.waiting.delete(release)
          changed()
        })
      }),

    open: (name: string): void => {
      const gate = gateOf(name)
      gate.open = true
      for (const release of gate.waiting) release()
      gate.waiting.clear()
      changed()
    },

    state: (name: string) => ({ open: gateOf(name).open, waiting: gateOf(name).waiting.size }),

    /** Completes when at least so many requests wait at the gate. The caller sets a limit. */
    awaitWaiting: (name: string, count: number): Effect.Effect<void> =>
      Effect.async((resume) => {
        const check = () => {
          if (gateOf(name).waiting.size < count) return
          watchers.delete(check)
          resume(Effect.void)
        }
        watchers.add(check)
        check()
        return Effect.sync(() => watchers.delete(check))
      })
  }
}
export type Gates = ReturnType<typeof makeGates>
