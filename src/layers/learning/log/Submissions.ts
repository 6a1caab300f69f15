import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { FeedbackSubmission } from "../../../domain/learning/Feedback.ts"
import type { LearningLogShape } from "../../../services/learning/LearningLog.ts"
import * as EpisodeLog from "../../../services/observing/EpisodeLog.ts"
import { type Committed, DatabaseError, type FeedbackResult } from "../../../services/storage/Database.ts"
import { noParts, type Parts } from "./CommitQueue.ts"
import type { CommitterState } from "./CommitterState.ts"

/** Submissions that wait for the database; more are refused. */
const maxWaiting = 10_000
/** A submission waits no longer for the database; retries within that time are the committer's. */
const limit = Duration.seconds(5)

const refused = (detail: string) => new DatabaseError({ operation: "commit", reason: "timeout", detail })

const tookTooLong = new DatabaseError({
  operation: "commit",
  reason: "timeout",
  detail: `it took more than ${Duration.toSeconds(limit)} s`,
  mayBeStored: true
})

/** Submissions whose commit takes longer than anybody waits for it. */
interface LateCommits {
  readonly gaveUp: Effect.Effect<void>
  readonly wasInTime: Effect.Effect<void>
}

const makeLateCommits = (): LateCommits => {
  const episode = EpisodeLog.make<void>({
    began: () =>
      Effect.logWarning(
        `A commit takes more than ${Duration.toSeconds(limit)}s: what waits for it is answered 503, and may be stored all the same`
      ),
    ended: ({ failures, seconds }) =>
      Effect.logInfo(`Commits are in time again after ${seconds}s: ${failures} submission(s) were not waited for`)
  })
  return { gaveUp: episode.failed(), wasInTime: episode.worked }
}

/** Stores what somebody waits for, and answers when it is stored. */
export type Submit = (parts: Partial<Parts>) => Effect.Effect<Committed, DatabaseError>

/** When the scope closes, whoever still waits is refused: the committer must have been interrupted by then. */
export const makeSubmit = Effect.fnUntraced(function* (
  state: CommitterState,
  /** Notified of each. */
  committer: { readonly notify: () => void }
) {
  const late = makeLateCommits()
  yield* Effect.addFinalizer(() =>
    Effect.forEach(
      state.refuseSubmissions(refused("the learning log has stopped")),
      (verdict) =>
        verdict.type === "submission" ? Deferred.complete(verdict.submission.done, verdict.result) : Effect.void,
      { discard: true }
    )
  )
  const submit: Submit = (parts) =>
    Effect.gen(function* () {
      if (state.submissionCount >= maxWaiting) {
        return yield* refused(`${maxWaiting} submissions wait for the database already`)
      }
      const done = yield* Deferred.make<Committed, DatabaseError>()
      const submission = state.submit({ ...noParts, ...parts }, done)
      committer.notify()
      return yield* Effect.raceFirst(
        Effect.tap(Deferred.await(done), () => late.wasInTime),
        Effect.flatMap(Effect.sleep(limit), () => {
          submission.abandoned = true
          return Effect.zipRight(late.gaveUp, Effect.fail(tookTooLong))
        })
      )
    })
  return submit
})

const otherCommit = refused("the database answered for another commit")

/** The methods of the log that complete when what they were given is stored. */
export const durable = (
  submit: Submit,
  onFeedback: (submission: FeedbackSubmission, result: FeedbackResult) => void
): Pick<LearningLogShape, "record" | "feedback" | "feedbackAll" | "report" | "append"> => ({
  record: Effect.fn("LearningLog.record")((record) =>
    Effect.map(submit({ decisions: [record] }), ({ position }) => position)
  ),
  feedback: Effect.fn("LearningLog.feedback")(function* (submission) {
    const { feedback, position } = yield* submit({ feedback: [submission] })
    const [result] = feedback
    if (result === undefined) return yield* otherCommit
    onFeedback(submission, result)
    return { ...result, position }
  }),
  feedbackAll: Effect.fn("LearningLog.feedbackAll")(function* (submissions) {
    const { feedback, position } = yield* submit({ feedback: submissions })
    if (feedback.length !== submissions.length) return yield* otherCommit
    for (const [index, submission] of submissions.entries()) {
      const result = feedback[index]
      if (result !== undefined) onFeedback(submission, result)
    }
    return { results: feedback, position }
  }),
  report: Effect.fn("LearningLog.report")(function* (report) {
    const { position, reports } = yield* submit({ reports: [report] })
    const [result] = reports
    return result === undefined ? yield* otherCommit : { ...result, position }
  }),
  append: Effect.fn("LearningLog.append")((events) => Effect.map(submit({ events }), ({ position }) => position))
})
