/** The process in which one measurement is made, after which it ends. */
import { dawnAdapters, nodeAdapters } from './adapters/index.ts';
import { type Answer, type Assignment, carryOut } from './carry-out.ts';
import type { Place } from './suites.ts';

function send(answer: Answer): void {
  process.send!(answer, () => process.exit(0));
}

// Nobody waits for an answer any more.
process.once('disconnect', () => process.exit(1));

process.once('message', ({ place, assignment }: { place: Place; assignment: Assignment }) => {
  void carryOut(assignment, place === 'dawn' ? dawnAdapters : nodeAdapters).then(send);
});
