import { type ErrorDetails, TuttiError } from '@tutti/core';

/** What was wrong with a state dict, by name. */
export interface StateDictProblems {
  /** Names that the module has and the dict lacks. */
  readonly missing: readonly string[];
  /** Names that the dict has and the module lacks. */
  readonly unexpected: readonly string[];
  /** Names whose shape or dtype does not fit, each with what was received and expected. */
  readonly mismatched: readonly string[];
}

/** A state dict that does not fit a module. Nothing of it was loaded. */
export class StateDictError extends TuttiError {
  readonly problems: StateDictProblems;

  override get name(): string {
    return 'StateDictError';
  }

  constructor(message: string, problems: StateDictProblems, details?: ErrorDetails) {
    super('TUTTI_STATE_DICT', message, details);
    this.problems = problems;
  }
}
