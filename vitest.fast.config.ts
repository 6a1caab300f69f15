import { configDefaults, defineConfig } from "vitest/config"

/** `npm run test:fast`: what needs no database, no Redis and no process of its own. */
export default defineConfig({
  test: {
    include: ["test/domain/**/*.test.ts", "test/layers/**/*.test.ts", "test/*.test.ts"],
    exclude: [
      ...configDefaults.exclude,
      "test/layers/storage/{postgres,redis}/**",
      "test/layers/routing/SessionsRedis.test.ts"
    ],
    pool: "threads",
    testTimeout: 240_000,
    hookTimeout: 240_000
  }
})
