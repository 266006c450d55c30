/** The build of the addon, with a small one in the place of the real. */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');
let workspace = '';
let folder = '';
const target = (): string => join(folder, 'build/tutti_cuda.node');

beforeAll(() => {
  workspace = realpathSync(mkdtempSync(join(tmpdir(), 'tutti-cuda-build-')));
  folder = join(workspace, 'packages/cuda');
  cpSync(join(root, '../../scripts/native-build.mjs'), join(workspace, 'scripts/native-build.mjs'));
  cpSync(join(root, 'scripts'), join(folder, 'scripts'), { recursive: true });
  mkdirSync(join(folder, 'native'));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  cpSync(join(root, 'native/exports.map'), join(folder, 'native/exports.map'));
  writeFileSync(join(folder, 'native/value.h'), 'constexpr int value = 7;\n');
  writeFileSync(
    join(folder, 'native/addon.cc'),
    `#include <node_api.h>
#include "value.h"
extern "C" __attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  napi_value number;
  napi_create_int32(env, value, &number);
  napi_set_named_property(env, exports, "value", number);
  return exports;
}
`,
  );
});
afterAll(() => rmSync(workspace, { recursive: true, force: true }));

function build(environment: Record<string, string> = {}, ...words: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(folder, 'scripts/build-native.mjs'), ...words],
    { encoding: 'utf8', env: { ...process.env, CXX: '', ...environment } },
  );
  return { status, output: stdout.trim(), errors: stderr.trim() };
}

describe('the build', () => {
  it('without a compiler says so in one line, and writes nothing', () => {
    const { status, output, errors } = build({ CXX: 'no-such-compiler' });
    expect({ status, errors }).toEqual({ status: 0, errors: '' });
    expect(output).toMatch(/^tutti_cuda: not built, there is no C\+\+ compiler\. Install one [^\n]*$/);
    expect(existsSync(join(folder, 'build'))).toBe(false);
  });

  it('makes an addon once, and again when a text has changed', () => {
    expect(build()).toMatchObject({ status: 0, output: expect.stringContaining('1 of 1 files compiled') });
    const { value } = createRequire(import.meta.url)(target()) as { value: number };
    expect(value).toBe(7);
    const before = statSync(target()).mtimeMs;
    expect(build()).toEqual({ status: 0, output: '', errors: '' });
    // What is up to date needs no compiler.
    expect(build({ CXX: '' })).toEqual({ status: 0, output: '', errors: '' });
    expect(statSync(target()).mtimeMs).toBe(before);
    writeFileSync(join(folder, 'native/value.h'), 'constexpr int value = 8;\n');
    expect(build()).toMatchObject({ status: 0, output: expect.stringContaining('1 of 1 files compiled') });
    expect(readdirSync(join(folder, 'build/objects'))).toHaveLength(1);
  });

  it('leaves the addon as it was where a text does not compile', () => {
    writeFileSync(join(folder, 'native/value.h'), 'constexpr int value = nonsense;\n');
    const before = statSync(target()).mtimeMs;
    expect(build()).toMatchObject({ status: 1, errors: expect.stringContaining('nonsense') });
    expect(statSync(target()).mtimeMs).toBe(before);
    expect(readdirSync(join(folder, 'build')).sort()).toEqual([
      'objects',
      'tutti_cuda.hash',
      'tutti_cuda.node',
    ]);
  });

  it('refuses what it does not know', () => {
    expect(build({}, '--sanitize=thread')).toMatchObject({
      status: 2,
      errors: expect.stringContaining('usage'),
    });
  });
});
