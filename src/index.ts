// What a program of one's own imports. Every module of the service is there by its path too: conduit-router/services/...

export * as Conduit from "./programs/Conduit.ts"
export { defaults, Settings, type SettingsShape } from "./services/running/Settings.ts"
export { HttpSocket } from "./services/api/HttpSocket.ts"
export { Lifecycle } from "./services/running/Lifecycle.ts"
export { Router, type RouterShape } from "./services/routing/Router.ts"
export type { ChoiceRuleShape } from "./services/learning/ChoiceRule.ts"
export type { Option } from "./domain/routing/Choice.ts"
export { FeatureExtractor, type FeatureExtractorShape } from "./services/routing/FeatureExtractor.ts"
export { ProviderError } from "./services/models/LanguageModels.ts"
export * as OwnModels from "./layers/models/LanguageModelsOwn.ts"
