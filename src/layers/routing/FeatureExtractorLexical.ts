import * as Layer from "effect/Layer"
import { dimension, extract, version } from "../../domain/routing/LexicalFeatures.ts"
import { FeatureExtractor } from "../../services/routing/FeatureExtractor.ts"

/** Counts and marks of the text itself: no model, no download, well under a millisecond. */
export const layer: Layer.Layer<FeatureExtractor> = Layer.succeed(
  FeatureExtractor,
  FeatureExtractor.of({ version, dimension, extract })
)
