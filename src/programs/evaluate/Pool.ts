import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import { Worker } from "node:worker_threads"
import type { Run } from "../../domain/learning/evaluation/Replay.ts"
import { type Job, work } from "./Work.ts"

/** A thread that ended before it answered. */
export class WorkerFailed extends Schema.TaggedError<WorkerFailed>()("WorkerFailed", { cause: Schema.Defect }) {
  override get message() {
    return `a worker failed: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

/** Beside the bundle. */
const entry = () => new URL("./evaluateWorker.js", import.meta.url)

const makeWorker = Effect.acquireRelease(
  Effect.sync(() => new Worker(entry())),
  (worker) => Effect.promise(() => worker.terminate())
)

/** One job at a time: the thread answers in order. */
const ask = (worker: Worker, job: Job): Effect.Effect<Run, WorkerFailed> =>
  Effect.async((resume) => {
    const answered = (run: Run) => {
      worker.off("error", failed)
      resume(Effect.succeed(run))
    }
    const failed = (cause: unknown) => {
      worker.off("message", answered)
      resume(Effect.fail(new WorkerFailed({ cause })))
    }
    worker.once("message", answered)
    worker.once("error", failed)
    worker.postMessage(job, [])
  })

/**
 * The runs of the jobs, in their order, on so many threads; with one, in this one, where the signals are heard between two
 * jobs. `onRun` is told how many are done.
 */
export const runAll = (jobs: ReadonlyArray<Job>, threads: number, onRun: (done: number) => void) =>
  Effect.scoped(
    Effect.gen(function* () {
      let done = 0
      const counted = (run: Run) => {
        onRun(++done)
        return run
      }
      if (threads <= 1) {
        return yield* Effect.forEach(jobs, (job) =>
          Effect.zipLeft(
            Effect.sync(() => counted(work(job))),
            Effect.yieldNow()
          )
        )
      }
      const idle = yield* Queue.bounded<Worker>(threads)
      yield* Effect.forEach(Array.from({ length: Math.min(threads, jobs.length) }), () =>
        Effect.flatMap(makeWorker, (worker) => idle.offer(worker))
      )
      return yield* Effect.forEach(
        jobs,
        (job) =>
          Effect.acquireUseRelease(
            Queue.take(idle),
            (worker) => Effect.map(ask(worker, job), counted),
            (worker) => idle.offer(worker)
          ),
        { concurrency: threads }
      )
    })
  )
