import type { TuttiError } from '../backend/index.ts';

/** What became of one condition on data: known once its flag has been read. */
export class Outcome {
  /** Set when the flag has been read and was true. */
  error: TuttiError | undefined;
  known = false;
}

/** The conditions that a value depends on, through whatever it was computed from. */
export type Verdict = readonly Outcome[];

/** The conditions that may still make a value an error; undefined when there is none. */
export function doubtsOf(verdict: Verdict | undefined): Verdict | undefined {
  if (!verdict?.some((outcome) => outcome.known && !outcome.error)) return verdict;
  const doubts = verdict.filter((outcome) => !outcome.known || outcome.error);
  return doubts.length > 0 ? doubts : undefined;
}

/**
 * The verdicts of results, each from the verdicts of those sources (by position) that it was computed from. Equal ones are one
 * object, so that what is handed from step to step stays small.
 */
export function joinVerdicts(
  sources: readonly (Verdict | undefined)[],
  below: readonly (readonly number[])[],
): (Verdict | undefined)[] {
  const doubts = sources.map(doubtsOf);
  if (!doubts.some((verdict) => verdict)) return below.map(() => undefined);
  const numbers = new Map<Verdict, number>();
  for (const verdict of doubts) if (verdict && !numbers.has(verdict)) numbers.set(verdict, numbers.size);
  const joined = new Map<string, Verdict>();
  return below.map((positions) => {
    const parts = new Set(positions.map((i) => doubts[i]).filter((verdict) => verdict !== undefined));
    if (parts.size === 0) return undefined;
    const key = [...parts]
      .map((verdict) => numbers.get(verdict)!)
      .sort((a, b) => a - b)
      .join();
    let verdict = joined.get(key);
    if (!verdict)
      joined.set(key, (verdict = parts.size === 1 ? [...parts][0]! : [...new Set([...parts].flat())]));
    return verdict;
  });
}
