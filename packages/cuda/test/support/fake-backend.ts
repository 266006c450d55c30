/** A backend on a device that only remembers. */
import { CudaBackend } from '../../src/backend.ts';
import { KernelCompiler } from '../../src/compiler/compile.ts';
import type { CudaProgram } from '../../src/program.ts';
import { describeDevice, featuresOf } from '../../src/runtime/description.ts';
import { CudaDevice, type CudaDeviceOptions } from '../../src/runtime/device.ts';
import type { Executable } from '../../src/runtime/executable.ts';
import { compilerOf, driverOf, type FakeDevice, fakeDevice, turing } from './fake.ts';
import { increment } from './programs.ts';

export interface FakeBackend extends FakeDevice {
  readonly backend: CudaBackend;
  /** What was called since the last time, but for marks of progress. */
  since(): string[];
}

/** A backend on a device that only remembers. */
export function fakeBackend(options: Partial<CudaDeviceOptions> = {}): FakeBackend {
  const fake = fakeDevice();
  const [driver, compiler] = [driverOf(), compilerOf()];
  const device = new CudaDevice({
    name: 'cuda',
    info: describeDevice(turing, driver, compiler, []),
    features: featuresOf(turing, driver, { tf32: false, blas: false }),
    native: fake.native,
    compiler: new KernelCompiler({ compiler, architecture: 'sm_75', identity: '', cache: undefined }),
    graphs: true,
    memoryLimit: undefined,
    ...options,
  });
  const backend = new CudaBackend(device, {
    compileKernel: nothing,
    compileJoint: nothing,
    routine: () => undefined,
  });
  const { calls } = fake;
  return {
    ...fake,
    backend,
    since: (): string[] => calls.splice(0).filter((call) => call !== 'passed'),
  };
}

function nothing(): never {
  throw new RangeError('nothing is compiled here');
}

/** A program that is ready. */
export async function loaded(backend: CudaBackend, cuda: CudaProgram = increment(4)): Promise<Executable> {
  const executable = backend.load(cuda);
  await executable.ready;
  return executable;
}
