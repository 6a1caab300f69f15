import { assert, describe, it } from "@effect/vitest"
import { ModelId } from "../../../src/domain/basics/Ids.ts"
import { type Alias, aliasMeantBy, aliasOf, throughAlias } from "../../../src/domain/routing/Alias.ts"
import { preferences } from "../../../src/domain/routing/Weights.ts"
import { request } from "../../support/banditParts.ts"

const [small, large] = [ModelId("small"), ModelId("large")]
const auto = (name: string, over: Partial<Alias> = {}): Alias => ({
  name,
  model: null,
  models: null,
  preference: null,
  ...over
})
const aliases = [auto("gpt-*"), auto("gpt-4*"), auto("gpt-4o"), auto("*")]
const asked = (pinned: string, over: Parameters<typeof request>[0] = {}) =>
  request({ pinned: ModelId(pinned), ...over })

describe("aliasOf", () => {
  it("takes the whole name before a beginning, and the longest beginning", () => {
    const found = ["gpt-4o", "gpt-4o-mini", "gpt-3.5-turbo", "claude"].map((name) => aliasOf(aliases, name)?.name)
    assert.deepStrictEqual(found, ["gpt-4o", "gpt-4*", "gpt-*", "*"])
    assert.isNull(aliasOf(aliases.slice(0, 3), "claude"))
  })

  it("knows names with a protocol or a provider before them, and others as they are", () => {
    const isProvider = (name: string) => name === "local"
    const known = [auto("gpt-4o"), auto("anthropic/claude")]
    const found = ["openai/gpt-4o", "local/gpt-4o", "else/gpt-4o", "anthropic/claude", "claude"].map(
      (name) => aliasMeantBy(known, name, isProvider)?.name ?? null
    )
    assert.deepStrictEqual(found, ["gpt-4o", "gpt-4o", null, "anthropic/claude", null])
  })
})

describe("throughAlias", () => {
  it("pins the model that it stands for, and keeps what was asked", () => {
    const through = throughAlias(asked("gpt-4o"), auto("gpt-4o", { model: large }))
    assert.deepInclude(through, { pinned: large, askedModel: "gpt-4o", constraints: {} })
  })

  it("chooses among its models, by its preference", () => {
    const through = throughAlias(asked("x"), auto("x", { models: [small, large], preference: "cost" }))
    assert.deepInclude(through, { pinned: null, preference: "cost", constraints: { allowed_models: [small, large] } })
    assert.deepStrictEqual(through.weights, preferences.cost)
  })

  it("leaves what the request states itself", () => {
    const stated = asked("x", {
      isPreferenceStated: true,
      preference: "speed",
      constraints: { allowed_models: ["large", "huge"], max_cost_usd: 1 }
    })
    const through = throughAlias(stated, auto("x", { models: [small, large], preference: "cost" }))
    assert.deepInclude(through, { preference: "speed", weights: stated.weights })
    assert.deepStrictEqual(through.constraints, { allowed_models: [large], max_cost_usd: 1 })
  })
})
