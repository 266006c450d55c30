/** The process in which one measurement is made, after which it ends. */
import { processAdapters } from './adapters/index.ts';
import { type Answer, type Assignment, carryOut } from './carry-out.ts';
import type { ProcessPlace } from './suites.ts';

/** What the process is told, once. */
export interface Order {
  readonly place: ProcessPlace;
  /** The id of the device that is measured. */
  readonly device: string;
  readonly assignment: Assignment;
}

function send(answer: Answer): void {
  process.send!(answer, () => process.exit(0));
}

// Nobody waits for an answer any more.
process.once('disconnect', () => process.exit(1));

process.once('message', ({ place, device, assignment }: Order) => {
  void carryOut(assignment, processAdapters(place, device)).then(send);
});
