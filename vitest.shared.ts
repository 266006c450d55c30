import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { defineConfig, type ViteUserConfig } from 'vitest/config';

/** The test configuration of one package: everything in its `test` folder. Only a package without one may have no tests. */
export function packageTests(root: string): ViteUserConfig {
  return defineConfig({
    root,
    test: {
      name: basename(root),
      include: ['test/**/*.test.{ts,mjs}'],
      passWithNoTests: !existsSync(join(root, 'test')),
      testTimeout: 30_000,
    },
  });
}
