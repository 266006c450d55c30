import type { TuttiError } from '../backend/index.ts';

/** What became of one condition on data: known once its flag has been read. */
export class Outcome {
  /** Set when the flag has been read and was true. */
  error: TuttiError | undefined;
  known = false;
}

/** The conditions that a value depends on, through whatever it was computed from. */
export type Verdict = readonly Outcome[];

/** The conditions of all of these that may still make a value an error; undefined when there is none. */
export function joinVerdicts(verdicts: Iterable<Verdict | undefined>): Verdict | undefined {
  const outcomes = new Set<Outcome>();
  for (const verdict of verdicts) {
    for (const outcome of verdict ?? []) if (!outcome.known || outcome.error) outcomes.add(outcome);
  }
  return outcomes.size > 0 ? [...outcomes] : undefined;
}
