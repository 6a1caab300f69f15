/** What a request can need of a model beyond text in and text out. */
export const capabilities = ["vision", "audio", "files", "tools", "json_schema", "reasoning", "logprobs"] as const
export type Capability = (typeof capabilities)[number]
