/** What a device has made of kernels and anchors. */
import type { Program } from '../backend.ts';
import { DeviceError, KernelError } from '../errors.ts';

/** So many are remembered: a training step has some hundreds. */
const mostPrograms = 4096;

/** Programs by the text of what they were made of. What nothing could be made of is remembered too. */
export class ProgramCache<P extends Program> {
  /** The least recently asked for first. */
  readonly #made = new Map<string, P | undefined>();

  /** What is known, or else what `make` gives. */
  get(key: string, make: () => P | undefined): P | undefined {
    const program = this.#made.has(key) ? this.#made.get(key) : make();
    this.#made.delete(key); // to be the last
    this.#made.set(key, program);
    if (this.#made.size > mostPrograms) this.#made.delete(this.#made.keys().next().value!);
    return program;
  }

  clear(): void {
    this.#made.clear();
  }
}

/** What a program is refused with that was made for another device. */
export const foreignProgram = ({ name }: Program): DeviceError =>
  new DeviceError(`the program ${name} belongs to another device`);

/** What a program is refused with that nobody has waited for. */
export const uncompiled = ({ name, source }: Program): KernelError =>
  new KernelError(`kernel ${name} is submitted before it is compiled`, {
    op: name,
    received: source(),
    fix: 'wait for program.ready before the first submission',
  });
