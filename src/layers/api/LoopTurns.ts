const sampleMillis = 20
/** While turns are so long, each is measured: to wait between them would be to notice late. */
const longMillis = 20

/** Measures single turns of the event loop, from one check phase to the next, while somebody is interested. */
export class LoopTurns {
  readonly #observe: (turnMillis: number) => void
  readonly #isNeeded: () => boolean
  #isRunning = false

  /** `observe` gets milliseconds. It ends by itself when it is not needed any more. */
  constructor(observe: (turnMillis: number) => void, isNeeded: () => boolean) {
    this.#observe = observe
    this.#isNeeded = isNeeded
  }

  run(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    this.#sample()
  }

  #sample(): void {
    setImmediate(() => {
      const startedAt = performance.now()
      setImmediate(() => {
        const now = performance.now()
        this.#observe(now - startedAt)
        if (!this.#isNeeded()) this.#isRunning = false
        else if (now - startedAt >= longMillis) this.#sample()
        else setTimeout(() => this.#sample(), sampleMillis)
      })
    })
  }
}
