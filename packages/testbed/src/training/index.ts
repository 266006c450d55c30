/** Training that pages and tests in Node go through alike. */
export * from './courses.ts';
export { type Network, network, type Step } from './network.ts';
