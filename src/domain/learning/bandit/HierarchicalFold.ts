import type { ModelId, Position } from "../../basics/Ids.ts"
import type { LearningEvent, ModelEvent, QualityEvent, RunEvent, VerdictEvent } from "../LearningEvent.ts"
import { load, loadSlots, type ModelState, type State } from "./HierarchicalState.ts"
import * as Labels from "./Labels.ts"
import * as Quality from "./Quality.ts"
import { canJudge, confirm, dismiss, type QualityChange, reset } from "./QualityChange.ts"
import { foldJudgement } from "./QualityFold.ts"
import { refresh } from "./QualityRefresh.ts"
import * as Ridge from "./Ridge.ts"
import * as Sources from "./Sources.ts"

/** At most so many task labels get a coordinate of their own in tokens and latency; later ones none. */
const mostSlots = 32

/** So many changes of a model are kept. */
const mostChanges = 16

/** A change of a model that an event brought to light. */
export interface Change extends QualityChange {
  readonly model: ModelId
  /** Several models changed at once by the verdicts of this source: it has changed, and their changes are taken back. */
  readonly source?: string
}

/** Applies the next event of the log; the change that it proves, if any. Total: what cannot be learned from is ignored. */
export const fold = (state: State, position: Position, event: LearningEvent): Change | null => {
  switch (event.type) {
    case "model":
      foldModel(state, event)
      return null
    case "run":
      foldRun(state, position, event)
      return null
    case "quality":
      return foldQuality(state, position, event)
    case "reset":
      reset(state.quality, ensureModel(state, event.model).evidence, position)
      return null
    case "verdict":
      foldVerdict(state, position, event)
      return null
    case "availability":
    case "reload":
      return null
  }
}

interface Known {
  readonly k: number
  readonly model: ModelState
  readonly evidence: Quality.ModelEvidence
}

const ensureModel = (state: State, id: ModelId): Known => {
  const k = state.index.get(id)
  const model = k === undefined ? undefined : state.models[k]
  const evidence = k === undefined ? undefined : state.quality.models[k]
  if (k !== undefined && model !== undefined && evidence !== undefined) return { k, model, evidence }
  const added: ModelState = { id, calls: 0, successes: 0, observations: 0, changes: [] }
  state.index.set(id, state.models.length)
  state.models.push(added)
  const addedEvidence = Quality.addModel(state.quality)
  refresh(state.quality)
  for (const ridge of [state.tokens, state.latency]) Ridge.addModel(ridge, state.parameters.runLambda0)
  return { k: state.models.length - 1, model: added, evidence: addedEvidence }
}

const foldModel = (state: State, event: ModelEvent): void => {
  const { evidence } = ensureModel(state, event.model)
  const prior = event.priorQuality !== null && Number.isFinite(event.priorQuality) ? event.priorQuality : null
  const sd = event.priorSd !== undefined && event.priorSd > 0 && event.priorSd <= 1 ? event.priorSd : null
  const upstream = event.upstream ?? null
  if (evidence.prior === prior && evidence.priorSd === sd && evidence.upstream === upstream) return
  evidence.prior = prior
  evidence.priorSd = sd
  evidence.upstream = upstream
  Quality.setOffsets(state.quality)
  Quality.setSiblings(state.quality)
  refresh(state.quality)
}

/** Gives a label its slot when its first event is folded. Changes no prediction: nobody observed the new coordinate yet. */
const ensureSlot = (state: State, task: string | null): void => {
  if (task === null || state.slots.size >= mostSlots || state.slots.has(task)) return
  state.slots.set(task, state.slots.size)
  const d = state.baseDimension + state.slots.size
  for (const ridge of [state.tokens, state.latency]) Ridge.grow(ridge, d)
  state.slotted = new Float64Array(d)
  state.work = new Float64Array(d)
}

const foldRun = (state: State, position: Position, event: RunEvent): void => {
  const { successDiscount } = state.parameters
  const { k, model } = ensureModel(state, event.model)
  state.runs += 1
  const displaced = Labels.countRun(state.labels, event.task, state.runs, position)
  if (displaced !== null) {
    Quality.evict(state.quality, displaced)
    Sources.evict(state.sources, displaced)
  }
  ensureSlot(state, event.task)
  model.calls = model.calls * successDiscount + 1
  model.successes = model.successes * successDiscount + (event.ok ? 1 : 0)
  if (!event.ok || !load(state, event.features)) return
  const length = loadSlots(state, event.task)
  if (event.logOutputTokens !== null) foldTarget(state, state.tokens, k, length, event.logOutputTokens)
  if (event.latencyScore !== null) foldTarget(state, state.latency, k, length, event.latencyScore)
}

const foldTarget = (state: State, ridge: Ridge.Ridge, k: number, length: number, y: number): void => {
  const row = ridge.rows[k]
  if (row === undefined || !Number.isFinite(y)) return
  Ridge.add(row, state.slotted, length, y)
  ridge.folded += 1
  if (Ridge.isDue(ridge.folded)) Ridge.refresh(ridge)
}

const inUnit = (value: number): boolean => value >= 0 && value <= 1

const foldQuality = (state: State, position: Position, event: QualityEvent): Change | null => {
  const { previous } = event
  if (!inUnit(event.quality) || !inUnit(event.weight)) return null
  if (previous !== null && !(inUnit(previous.quality) && inUnit(previous.weight))) return null
  const { evidence, model } = ensureModel(state, event.model)
  if (event.task !== null) Labels.ensure(state.labels, event.task, previous?.position ?? position)
  if (!load(state, event.features)) return null
  model.observations += (event.weight > 0 ? 1 : 0) - (previous !== null && previous.weight > 0 ? 1 : 0)
  const labelled = Labels.cellOf(state.labels, event.task, previous?.position ?? position)
  Sources.learn(state.sources, position, event, labelled.withoutCell ? null : labelled.task)
  const change = foldJudgement(
    state.quality,
    {
      ...labelled,
      model: evidence,
      x: state.x,
      judged: event.quality,
      weight: event.weight,
      position,
      decidedAt: event.decidedAt,
      previous
    },
    state.runs
  )
  if (change === null) return null
  model.changes.push(change)
  if (model.changes.length > mostChanges) model.changes.shift()
  const changed = Sources.noteChange(state.sources, event, change)
  if (changed === null) return { ...change, model: model.id }
  takeBack(state, position, changed)
  return { ...change, model: model.id, source: changed.source }
}

/** Whoever judged has changed, and not the models. */
const takeBack = (state: State, position: Position, { models, source }: Sources.SourceChange): void => {
  for (const one of models) {
    const newest = state.models[state.index.get(one.model) ?? -1]?.changes.at(-1)
    if (newest?.position !== one.position) continue
    foldVerdict(state, position, { type: "verdict", model: one.model, verdict: "dismiss", by: source })
  }
}

/** A word on the newest change of the model; on none, or where it was given already, it changes nothing. */
const foldVerdict = (state: State, position: Position, { by, model: id, verdict }: VerdictEvent): void => {
  const { evidence, model } = ensureModel(state, id)
  const change = model.changes.at(-1)
  if (change === undefined || !canJudge(change, verdict)) return
  if (verdict === "confirm") confirm(evidence, change)
  else dismiss(state.quality, evidence, change, position)
  model.changes[model.changes.length - 1] = { ...change, verdict: { verdict, by, position } }
}
