/** The parts of the example that need neither files nor a terminal: a page trains with them as well. */
export type { MnistSamples } from './data.ts';
export { countCorrect } from './evaluate.ts';
export { MnistModel, normalizePixels } from './model.ts';
export { stepsPerEpoch, type TrainedStep, type TrainOptions, train } from './train.ts';
