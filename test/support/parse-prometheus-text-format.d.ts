declare module "parse-prometheus-text-format" {
  export interface ParsedFamily {
    readonly name: string
    readonly help: string
    readonly type: string
    readonly metrics: ReadonlyArray<{ readonly value: string; readonly labels?: Readonly<Record<string, string>> }>
  }
  /** Fails on a line that the format does not have. */
  const parse: (text: string) => ReadonlyArray<ParsedFamily>
  export default parse
}
