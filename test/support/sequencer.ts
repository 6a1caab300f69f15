import { BaseSequencer, type TestSpecification } from "vitest/node"

/** What takes longest, the longest first: none of them is left alone at the end of a run. */
const longest = [
  "process/hostile/matrix",
  "process/package",
  "process/log/postgresTrouble",
  "layers/storage/postgres/PostgresEmbedded",
  "process/clients",
  "process/dashboard",
  "process/doctor/database",
  "process/workers",
  "process/limits",
  "process/stateTools",
  "process/embedded",
  "process/log/failover",
  "process/otlp",
  "process/hostile/rollingRestart",
  "deploy/alerts",
  "process/upstreams",
  "process/keys",
  "process/log/replicas",
  "process/redis",
  "deploy/image",
  "process/evaluate",
  "process/doctor/checklist",
  "process/log/kill9",
  "process/log/rewound",
  "process/configuration",
  "process/shutdown",
  "process/databases",
  "process/evaluateLog",
  "process/models"
]

const rankOf = ({ moduleId }: TestSpecification): number => {
  const rank = longest.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`))
  if (rank >= 0) return rank
  return longest.length + (moduleId.includes("/test/process/") ? 0 : 1)
}

/** The longest first, then other tests of processes, then what is quick. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const sorted = await super.sort(files)
    return sorted.sort((a, b) => rankOf(a) - rankOf(b))
  }
}
