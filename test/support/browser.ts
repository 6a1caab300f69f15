import axe, { type AxeResults } from "axe-core"
import { type Browser, chromium, type Page } from "playwright-core"
import { chromium as program } from "./external.ts"

/** What a page said and asked for while it was open. */
export interface Watched {
  readonly page: Page
  /** Errors of the console and of scripts; those of requests that a restart refused are not the page's. */
  readonly errors: ReadonlyArray<string>
  /** Addresses of other hosts that it asked for. */
  readonly foreign: ReadonlyArray<string>
}

export const startBrowser = (): Promise<Browser> =>
  chromium.launch({ ...(program === undefined ? {} : { executablePath: program }), args: ["--no-sandbox"] })

export const open = async (
  browser: Browser,
  url: string,
  options: { readonly width?: number; readonly colours?: "light" | "dark"; readonly key?: string } = {}
): Promise<Watched> => {
  const page = await browser.newPage({
    viewport: { width: options.width ?? 1360, height: 900 },
    colorScheme: options.colours ?? "light"
  })
  const errors: Array<string> = []
  const foreign: Array<string> = []
  page.on("console", (message) => {
    if (message.type() === "error" && !/net::ERR_|status of 503/.test(message.text())) errors.push(message.text())
  })
  page.on("pageerror", (error) => errors.push(error.message))
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith("data:")) foreign.push(request.url())
  })
  await page.goto(`${url}/`)
  return { page, errors, foreign }
}

/** What axe finds wrong in the page as it is now, of the two worst kinds. */
export const seriousFaults = async (page: Page): Promise<ReadonlyArray<string>> => {
  // As a devtools script: the page's own policy forbids scripts that it does not have.
  await page.evaluate(axe.source)
  const found = await page.evaluate<AxeResults>("axe.run()")
  return found.violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ help, id, nodes }) => nodes.map(({ target }) => `${id}: ${help} (${String(target)})`))
}
