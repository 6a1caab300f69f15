import * as Parse from "./Parsers.ts"
import type { Platform, ReadSetting } from "./Setting.ts"

export type LogLevel = "DEBUG" | "INFO" | "WARNING" | "ERROR"
export type LogFormat = "pretty" | "json"

export const log = (setting: ReadSetting, { terminal }: Platform) =>
  ({
    level: setting(
      "LOG_LEVEL",
      Parse.choice<LogLevel>(
        { DEBUG: "DEBUG", INFO: "INFO", WARNING: "WARNING", WARN: "WARNING", ERROR: "ERROR" },
        "DEBUG, INFO, WARNING (or WARN) or ERROR"
      ),
      "INFO",
      "`DEBUG`, `INFO`, `WARNING` (or `WARN`), `ERROR`",
      "DEBUG"
    ),
    format: setting(
      "LOG_FORMAT",
      Parse.choice<LogFormat>({ pretty: "pretty", json: "json" }, "pretty or json"),
      terminal ? "pretty" : "json",
      "`pretty` or `json`",
      "json",
      { shown: "`pretty` on a terminal, `json` otherwise" }
    )
  }) as const
