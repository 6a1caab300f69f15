import { parentPort } from "node:worker_threads"
import { type Job, work } from "./Work.ts"

/** A thread of its own: takes a job, answers its run, until it is ended. */
parentPort?.on("message", (job: Job) => {
  parentPort?.postMessage(work(job), [])
})
