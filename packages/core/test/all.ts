/** Both entry points at once: what users see, and the graph below it. */
export * from '../src/graph.ts';
export * from '../src/index.ts';
