import * as Fs from "node:fs"

/** The operators' guide, as it is. */
export const guide = (): string => Fs.readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8")

/** What a link may lead to within it. */
export const anchors = (): ReadonlyArray<string> =>
  [...guide().matchAll(/^#+ (.*)$/gm)].map(([, text]) =>
    (text ?? "")
      .toLowerCase()
      .replace(/[^a-z0-9 -]/g, "")
      .replaceAll(" ", "-")
  )
