import type { Anchor } from '../../backend/index.ts';
import type { TestCase } from '../test-case.ts';

/**
 * One anchor for a routine, as `KernelCase` is one kernel for a renderer. A backend's test runs each case by every routine that
 * takes it, whatever it would choose itself.
 */
export interface AnchorCase<A extends Anchor = Anchor> extends TestCase {
  readonly anchor: A;
}
