import { models } from "./Live.ts"
import { stats } from "./Figures.ts"

/** As many colours as are told apart; further models share the last. Their values are in the style, for both themes. */
const colours = 8

/** Models in a fixed order, those of the configuration first: a colour stays with its model. */
export const modelNames = (): ReadonlyArray<string> =>
  Array.from(new Set([...models.value.map(({ id }) => id), ...(stats.value?.by_model.map(({ model }) => model) ?? [])]))

export const colourName = (model: string): string => {
  const index = modelNames().indexOf(model)
  return `--model-${1 + (index === -1 ? colours - 1 : Math.min(index, colours - 1))}`
}

/** As a canvas takes it. */
export const resolved = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim()
