export { main } from './main.ts';
export { type MnistOptions, type MnistResult, runMnist } from './mnist/run.ts';
