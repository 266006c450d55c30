/** Runs generated kernels on the emulator. */
import { printKernel } from '@tutti/core/backend';
import { type KernelCase, runProgram } from '@tutti/core/testing';
import { expect } from 'vitest';
import type { CudaBackend } from '../../src/backend.ts';
import { compileKernel } from '../../src/kernels/index.ts';
import type { CudaFeatures, CudaProgram } from '../../src/program.ts';
import { emulated, hopper, tiny } from './features.ts';

/** A device that kernels are planned for, and how large a launch may be there. */
export interface Machine {
  readonly features: CudaFeatures;
  readonly limits?: { readonly blocks: number; readonly narrow: number };
}

/** `folded`: launches so small that blocks go on to further work, and numbers of points so long that they have 64 bits. */
export const machines = {
  hopper: { features: hopper },
  tiny: { features: tiny },
  emulated: { features: emulated },
  folded: { features: tiny, limits: { blocks: 3, narrow: 500 } },
} as const satisfies Readonly<Record<string, Machine>>;

export type MachineName = keyof typeof machines;

/** Runs a case as it is planned for each of these devices. Equal programs run once. */
export async function checkKernel(
  backend: CudaBackend,
  each: KernelCase,
  names: readonly MachineName[] = Object.keys(machines) as MachineName[],
): Promise<void> {
  const programs = new Map<string, { readonly name: MachineName; readonly program: CudaProgram }>();
  for (const name of names) {
    const { features, limits }: Machine = machines[name];
    const program = compileKernel(each.kernel, features, limits);
    const source = program.stages.map(({ code, grid }) => `${code}\n// ${grid}`).join('\n');
    if (!programs.has(source)) programs.set(source, { name, program });
  }
  await Promise.all(
    [...programs].map(async ([source, { name, program }]) => {
      const loaded = backend.load(program);
      const wrong = each.check(await runProgram(backend, loaded, each.kernel, each.contents(), each.scalars));
      if (wrong) expect.fail(`planned for ${name}: ${wrong}\n${printKernel(each.kernel)}\n${source}`);
    }),
  );
}
