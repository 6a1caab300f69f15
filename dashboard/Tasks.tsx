import { stats } from "./Figures.ts"
import { count, percent, plural, quality, range } from "./Format.ts"
import { colourName, modelNames } from "./Palette.ts"
import { ModelName, Nothing, Panel } from "./Parts.tsx"
import type { StatsAnswer } from "../src/services/api/StatsResponse.ts"

type Group = NonNullable<StatsAnswer["groups"]>[number]

const Cell = ({
  group,
  isMost,
  model,
  of
}: {
  readonly group: Group | undefined
  readonly isMost: boolean
  readonly model: string
  readonly of: number
}) => {
  const share = group === undefined || of === 0 ? 0 : group.requests / of
  return (
    <td class={isMost ? "most" : ""} data-model={model} data-requests={group?.requests ?? 0}>
      <span class="name">
        <ModelName name={model} />
      </span>
      <span class="bar" aria-hidden="true">
        <i style={{ width: `${100 * share}%`, background: `var(${colourName(model)})` }} />
      </span>
      <span class="share">{group === undefined ? "–" : percent(share)}</span>
      <span class="soft">
        {group === undefined ? (
          "not used"
        ) : group.quality === null ? (
          "none judged"
        ) : (
          <>
            <b>{quality(group.quality.mean)}</b> ({range(group.quality.low, group.quality.high)}) <br />
            {count(group.judged)} judged
          </>
        )}
      </span>
    </td>
  )
}

/** Which model gets which task. */
export const Tasks = () => {
  const found = stats.value
  const groups = found?.groups ?? []
  const models = modelNames().filter((model) => groups.some((group) => group.model === model))
  const tasks = found?.by_task.filter(({ requests }) => requests > 0) ?? []
  return (
    <Panel
      id="tasks"
      wide
      title="Which model gets which task"
      about="Share of each task’s requests that a model answered, and how good its judged answers were: mean from 0 to 1, with its 95 % interval."
    >
      {tasks.length === 0 ? (
        <Nothing>No requests in this time.</Nothing>
      ) : (
        <div class="scroll" role="region" aria-label="Tasks and models" tabIndex={0}>
          <table class="matrix">
            <thead>
              <tr>
                <th scope="col">Task</th>
                {models.map((model) => (
                  <th scope="col" key={model}>
                    <ModelName name={model} />
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {tasks.map(({ requests, task }) => {
                const own = groups.filter((group) => group.task === task)
                const most = Math.max(...own.map((group) => group.requests))
                return (
                  <tr key={task ?? ""} data-task={task ?? ""}>
                    <th scope="row">
                      {task ?? <em>no task named</em>}
                      <span class="soft">{plural(requests, "request")}</span>
                    </th>
                    {models.map((model) => {
                      const group = own.find((one) => one.model === model)
                      return (
                        <Cell key={model} group={group} isMost={group?.requests === most} model={model} of={requests} />
                      )
                    })}
                  </tr>
                )
              })}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  )
}
