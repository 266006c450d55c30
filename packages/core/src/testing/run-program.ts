/** Runs one program on a device, from what its buffers hold before to what they hold after. */
import type { Backend, Kernel, Program } from '../backend/index.ts';
import { type BufferContents, bufferContents } from './interpret.ts';

const bytesOf = (contents: BufferContents): Uint8Array =>
  new Uint8Array(contents.buffer, contents.byteOffset, contents.byteLength);

/** All buffers after the program has run. Waits until it is ready, and fails as that does. */
export async function runProgram(
  backend: Backend,
  program: Program,
  { buffers }: Pick<Kernel, 'buffers'>,
  contents: readonly BufferContents[],
  scalars: readonly number[],
): Promise<BufferContents[]> {
  const bound = contents.map((each) => {
    const buffer = backend.allocate(each.byteLength);
    backend.write(buffer, bytesOf(each));
    return buffer;
  });
  await program.ready;
  backend.submit([{ kind: 'dispatch', program, buffers: bound, scalars }]);
  const results = await Promise.all(
    buffers.map(async ({ dtype, length }, i) => {
      const result = bufferContents(dtype, length);
      bytesOf(result).set(await backend.read(bound[i]!, 0, result.byteLength));
      return result;
    }),
  );
  for (const buffer of bound) backend.free(buffer);
  return results;
}
