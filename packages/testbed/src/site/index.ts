/** Pages that Vite serves to the browser of a test. */
export * from './checked-page.ts';
export * from './serve.ts';
