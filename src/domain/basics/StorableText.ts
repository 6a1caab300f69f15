const loneSurrogate = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g

/** Text that PostgreSQL can hold: it has neither NUL nor half a character, and one bad name must not stop a batch. */
export const storable = (text: string): string => text.replaceAll("\u0000", "\uFFFD").replace(loneSurrogate, "\uFFFD")

/** A stored prompt is cut after so many characters, so that what waits for the database stays small. */
export const longestPrompt = 100_000

/** A prompt as it is stored. */
export const storablePrompt = (text: string): string => storable(text.slice(0, longestPrompt))
