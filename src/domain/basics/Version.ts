/** The version of this package, as in package.json: what OpenAPI and `conduit --version` say. */
export const version = "0.1.0"
