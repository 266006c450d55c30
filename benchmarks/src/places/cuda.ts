/** Measurements on a GPU of NVIDIA's: this library in processes of Node, its peers in processes of Python. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Answer, Assignment } from '../carry-out.ts';
import { ours } from '../libraries.ts';
import { precisionOf } from '../work.ts';
import { inFreshProcess } from './process.ts';
import { inFreshPython } from './python.ts';

export class CudaPlace {
  readonly #device: string;
  readonly #python: string;
  #folder: string | undefined;
  /** Where the work of each text compiles to. */
  readonly #caches = new Map<string, number>();
  #assignments = 0;

  constructor(device: string, python: string) {
    this.#device = device;
    this.#python = python;
  }

  carryOut(assignment: Assignment, timeout: number): Promise<Answer> {
    const environment = this.#environment(assignment);
    if (assignment.adapter === ours) {
      return inFreshProcess({ place: 'cuda', device: this.#device, assignment }, timeout, environment);
    }
    return inFreshPython(this.#python, this.#device, assignment, timeout, environment);
  }

  /**
   * Nothing is compiled when the work is first done, whoever ran before. What its first round compiles is there for the others, but for the
   * work whose time is that of the first result.
   */
  #environment({ work }: Assignment): Record<string, string> {
    this.#folder ??= mkdtempSync(join(tmpdir(), 'tutti-bench-cuda-'));
    const text = JSON.stringify(work);
    const known = work.kind === 'firstResult' ? undefined : this.#caches.get(text);
    const kept = known ?? this.#assignments;
    this.#caches.set(text, kept);
    this.#assignments++;
    const cache = (name: string): string => join(this.#folder!, String(kept), name);
    return {
      TUTTI_CUDA_CACHE: cache('tutti'),
      TUTTI_CUDA_PRECISION: precisionOf(work) === 'tf32' ? 'tf32' : 'ieee',
      TORCHINDUCTOR_CACHE_DIR: cache('inductor'),
      TRITON_CACHE_DIR: cache('triton'),
    };
  }

  close(): void {
    if (this.#folder) rmSync(this.#folder, { recursive: true, force: true });
  }
}
