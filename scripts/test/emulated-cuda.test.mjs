import { expect, it } from 'vitest';
import { backendOf, cudaEmulated } from '../emulated-cuda.mjs';

it('is a backend of its own name', () => {
  expect(cudaEmulated.name).toBe('cuda-emulated');
});

it('says which variable for the emulator is wrong', async () => {
  const refused = backendOf({ driver: '', compiler: '' }, { TUTTI_CUDA_EMULATOR_MEMORY: '10MB' });
  expect(await refused.probe()).toMatchObject({
    available: false,
    reason: 'TUTTI_CUDA_EMULATOR_MEMORY is 10MB, which is not a whole number of bytes',
  });
});

it('says why it is not there where the emulator is not, under the same name', async () => {
  const absent = backendOf({ missing: 'there is no g++' });
  expect(absent.name).toBe('cuda-emulated');
  expect(await absent.probe()).toMatchObject({ available: false, reason: 'there is no g++' });
  await expect(absent.open(0)).rejects.toMatchObject({
    code: 'TUTTI_BACKEND_UNAVAILABLE',
    message: expect.stringContaining('there is no g++'),
  });
});
