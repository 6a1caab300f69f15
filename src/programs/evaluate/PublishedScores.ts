/** MMLU scores as published on model cards, [0, 1]; of a few, marked in the documentation, a guess from a sibling. */
const scores: Readonly<Record<string, number>> = {
  "codegemma-7b": 0.563,
  "command-r-v01": 0.682,
  "deepseek-coder-v2": 0.792,
  "gemini-1.5-flash-002": 0.789,
  "gemini-1.5-pro-002": 0.859,
  "gemini-2.5-flash": 0.85,
  "gemini-2.5-pro": 0.89,
  "gemma-2-9b-it": 0.713,
  "gpt-4-1106-preview": 0.847,
  "jamba-1.5-large": 0.812,
  "llama-3.1-70b-instruct": 0.836,
  "llama-3.1-8b-instruct": 0.694,
  "llama-3.1-nemotron-51b-instruct": 0.802,
  "llama-3.3-nemotron-super-49b-v1": 0.8,
  "llama3-chatqa-1.5-70b": 0.78,
  "llama3-chatqa-1.5-8b": 0.66,
  "mistral-7b-instruct-v0.2": 0.601,
  "mistral-7b-instruct-v0.3": 0.62,
  "mistral-large-2512": 0.85,
  "mixtral-8x7b-instruct-v0.1": 0.706,
  "phi-3-mini-4k-instruct": 0.688,
  "qwen1.5-72b-chat": 0.775,
  "qwen1.5-7b-chat": 0.61,
  "qwen2.5-7b-instruct": 0.742
}

/** By the name after the last slash; null where none is known. */
export const publishedScore = (model: string): number | null =>
  scores[(model.split("/").at(-1) ?? model).toLowerCase()] ?? null
