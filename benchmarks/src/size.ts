/** What a page has to download for tensors on the CPU: all of core and of the CPU backend, minified and compressed. */
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';

const entry = 'tutti-download';
const everything = "export * from '@tutti/core'; export * from '@tutti/cpu';";

/** Bytes in one gzip stream. Nothing is shaken off: an application that uses less downloads less. */
export async function downloadSize(): Promise<number> {
  const bundle = await rolldown({
    input: entry,
    platform: 'browser',
    logLevel: 'silent',
    plugins: [
      {
        name: 'entry',
        resolveId: (id) => (id === entry ? import.meta.filename : undefined),
        load: (id) => (id === import.meta.filename ? everything : undefined),
      },
    ],
  });
  const { output } = await bundle.generate({ format: 'esm', minify: true });
  await bundle.close();
  const code = output.map((file) => (file.type === 'chunk' ? file.code : file.source)).join('\n');
  return gzipSync(code, { level: 9 }).length;
}
