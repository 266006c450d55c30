/** What a suite says of itself. */
interface SuiteReport {
  /** Sentences about what did not run. */
  readonly leftOut?: readonly string[];
}

/** Says what of a suite did not run, and where. */
export function tellLeftOut(where: string, { leftOut = [] }: SuiteReport): void {
  for (const sentence of leftOut) console.log(`left out of the suite ${where}: ${sentence}`);
}
