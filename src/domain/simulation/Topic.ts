/** What a prompt is about, for simulated models only: real routing has its own features. */
export const topics = ["code", "math", "translation", "writing", "facts", "chat"] as const
export type Topic = (typeof topics)[number]

const signs: Readonly<Record<Exclude<Topic, "chat">, RegExp>> = {
  code: /```|\b(code|functions?|python|javascript|typescript|rust|java|sql|bugs?|debug|regex|compile|class|script|algorithm|refactor|api|stack trace|unit tests?)\b/g,
  math: /\d\s*[-+*/^=]\s*\d|\b(solve|equations?|integral|derivative|calculate|compute|probability|prove|theorem|sum|percent|square root|matrix)\b/g,
  translation:
    /\b(translate|translation|(?:in|into|to|from) (?:french|german|spanish|italian|english|japanese|chinese|portuguese|russian|polish|dutch))\b/g,
  writing: /\b(write|poem|story|essay|e-?mail|letter|rewrite|summari[sz]e|draft|blog|headline|haiku|slogan)\b/g,
  facts: /\b(who|when|where|what is|what are|capital|history|country|year|president|population|invented|explain|why)\b/g
}

/** The topic with the most signs in the text; of equal ones the first of `topics`; `chat` without any. */
export const topicOf = (text: string): Topic => {
  const lower = text.slice(0, 20_000).toLowerCase()
  let best: Topic = "chat"
  let most = 0
  for (const topic of topics) {
    if (topic === "chat") continue
    const count = lower.match(signs[topic])?.length ?? 0
    if (count > most) {
      most = count
      best = topic
    }
  }
  return best
}
