import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import { defaults, shutdownBudget } from "../../src/services/running/Settings.ts"
import { readDeploy, secondsOf, yamlOf } from "../support/deployKit.ts"
import { image } from "../support/dockerfile.ts"
import { guide } from "../support/guide.ts"

const settle = image().env["CONDUIT_SHUTDOWN_SETTLE"]
const { shutdown } = defaults
const grace = Duration.toSeconds(shutdown.terminationGrace)

/** The settings of a part of the kit that it states. */
const stated = (environment: Readonly<Record<string, string>>) =>
  Object.fromEntries(
    Object.entries(environment)
      .filter(([name]) => /^CONDUIT_(?:SHUTDOWN_|TERMINATION_)/.test(name))
      .map(([name, value]) => [name, Number(/^([\d.]+) seconds$/.exec(value)?.[1])])
  )

const whole = {
  CONDUIT_SHUTDOWN_TIMEOUT: Duration.toSeconds(shutdown.drainTimeout),
  CONDUIT_SHUTDOWN_SETTLE: Number(settle?.replace(" seconds", "")),
  CONDUIT_SHUTDOWN_PERSIST_TIMEOUT: Duration.toSeconds(shutdown.persistTimeout),
  CONDUIT_SHUTDOWN_CLOSE_TIMEOUT: Duration.toSeconds(shutdown.closeTimeout),
  CONDUIT_TERMINATION_GRACE: grace
}

describe("the shutdown's numbers", () => {
  it("are the defaults, with the settling of the image, wherever the kit states them", () => {
    assert.isAbove(whole.CONDUIT_SHUTDOWN_SETTLE, 0)
    assert.deepStrictEqual(stated(yamlOf("kubernetes/settings.yaml").data), whole)
    for (const environment of [yamlOf("compose.yaml").services.conduit.environment, image().env]) {
      const some = stated(environment)
      assert.isNotEmpty(some)
      for (const [name, seconds] of Object.entries(some)) assert.strictEqual(seconds, whole[name as keyof typeof whole])
    }
    const { closeSeconds, drainSeconds, marginSeconds, persistSeconds, settleSeconds } =
      yamlOf("helm/conduit/values.yaml").shutdown
    assert.deepStrictEqual(
      [drainSeconds, settleSeconds, persistSeconds, closeSeconds],
      Object.values(whole).slice(0, 4)
    )
    assert.strictEqual(Math.ceil(Duration.toSeconds(shutdownBudget(shutdown)) + marginSeconds), grace)
  })

  it("are granted by every orchestrator", () => {
    const [, docker] = /--stop-timeout (\d+)/.exec(guide()) ?? []
    const { terminationGracePeriodSeconds } = yamlOf("kubernetes/deployment.yaml").spec.template.spec
    const { stop_grace_period } = yamlOf("compose.yaml").services.conduit
    assert.deepStrictEqual(
      [Number(docker), secondsOf(stop_grace_period), terminationGracePeriodSeconds],
      [grace, grace, grace]
    )
  })

  it("leave the fixed part of the chart's sum what it is in the service", () => {
    const [, fixed] =
      /persistSeconds \.closeSeconds ([\d.]+) /.exec(readDeploy("helm/conduit/templates/_helpers.tpl")) ?? []
    const { closeTimeout, drainTimeout, persistTimeout } = shutdown
    const limits = [drainTimeout, persistTimeout, closeTimeout].map(Duration.toSeconds)
    const rest = limits.reduce((left, limit) => left - limit, Duration.toSeconds(shutdownBudget(shutdown)))
    assert.strictEqual(Number(fixed), rest)
  })
})
