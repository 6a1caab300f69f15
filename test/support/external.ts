import { spawnSync } from "node:child_process"

/** A program that some tests need and that a machine may lack; they are skipped then, and their names say so. */
export const isInstalled = (program: string, versionArgs: ReadonlyArray<string>): boolean =>
  spawnSync(program, versionArgs, { stdio: "ignore", timeout: 20_000 }).status === 0

/** What it says, with its exit code first. */
export const run = (
  program: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd?: string; readonly input?: string } = {}
): { readonly code: number | null; readonly stdout: string; readonly stderr: string } => {
  const { status, stderr, stdout } = spawnSync(program, args, { ...options, encoding: "utf8", timeout: 120_000 })
  return { code: status, stdout, stderr }
}
