import { stripVTControlCharacters } from "node:util"

/** How each command is called, by its name. */
const examples: Readonly<Record<string, string>> = {
  "": "DATABASE_URL=postgres://conduit@127.0.0.1/conduit conduit serve",
  serve: "DATABASE_URL=postgres://conduit@127.0.0.1/conduit conduit serve --log-level debug",
  import: "conduit import litellm config.yaml",
  "import litellm": "conduit import litellm --out conduit.yaml config.yaml",
  init: "OPENAI_API_KEY=sk-... conduit init --out conduit.yaml",
  migrate: "DATABASE_URL=postgres://conduit@127.0.0.1/conduit conduit migrate",
  route: 'conduit route --explain --task arithmetic "What is 17 * 23?"',
  stats: "conduit stats --window 7d",
  decisions: "conduit decisions --task code --limit 5",
  top: "conduit top --window 15m",
  models: "conduit models list",
  "models list": "conduit models list --json",
  "models disable": "conduit models disable gpt-4o",
  "models enable": "conduit models enable gpt-4o",
  "models confirm": "conduit models confirm --by alice gpt-4o",
  "models dismiss": "conduit models dismiss --by alice gpt-4o",
  keys: "conduit keys list",
  "keys create": "conduit keys create team-a --usd-per-day 25",
  "keys list": "conduit keys list --json",
  "keys rotate": "conduit keys rotate --others-valid '1 hour' team-a",
  "keys revoke": "conduit keys revoke team-a",
  reload: "conduit reload",
  state: "conduit state show",
  "state show": "conduit state show --json",
  "state export": "conduit state export learned.json",
  "state import": "conduit state import --yes learned.json",
  "state reset": "conduit state reset --yes gpt-4o",
  "state verify": "conduit state verify",
  replay: "conduit replay --weights 0.7,0.2,0.1",
  evaluate: "conduit evaluate --algorithm h2,ucb1,random --seeds 3 --html result.html examples/outcomes/sample.jsonl",
  judge: "conduit judge calibrate --model gpt-4o judged.jsonl",
  "judge calibrate": "conduit judge calibrate --model gpt-4o judged.jsonl",
  doctor: "conduit doctor --url http://127.0.0.1:8000",
  "mock-llm": "conduit mock-llm --port 9001 --script script.yaml",
  healthcheck: "CONDUIT_PORT=8000 conduit healthcheck"
}

const colours = String.raw`(?:\u001b\[[0-9;]*m)*`
const usage = new RegExp(String.raw`(USAGE${colours}\s+${colours}\$ )(\S+)`)
const description = new RegExp(String.raw`\n(${colours}DESCRIPTION)`)

/** A command of a list: its name with all its options, and behind them what it does. */
const listedCommand = /^ {2}- (\S.*?) {2,}(\S.*)\n?$/gm

/** The options of each would make a line wider than any terminal: `--help` of the command has them. */
const listed = (text: string): string =>
  text.replace(listedCommand, (_, called: string, what: string) => {
    const name = stripVTControlCharacters(called).split(/ (?=[-[<(])/)[0] ?? ""
    return `  - ${name.padEnd(nameWidth)}${what.trimEnd()}`
  })
const nameWidth = 18

/** The library's help of a command, with its whole name and an example. Any other text stays as it is. */
export const helpText = (words: ReadonlyArray<string>, text: string): string => {
  if (!usage.test(text)) return text
  const [first = "", second = ""] = words
  const name = [`${first} ${second}`, first].find((given) => given in examples) ?? ""
  const called = name === "" ? "conduit" : `conduit ${name}`
  return listed(text)
    .replace(usage, (_, before: string) => before + called)
    .replace(description, (_, title: string) => `\nEXAMPLE\n\n  ${examples[name] ?? called}\n\n${title}`)
}
