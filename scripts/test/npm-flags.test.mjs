import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { flagsOfNpm, flagsOfTraining, flagsTakenByNpm } from '../npm-flags.mjs';

test('every flag of the training is known', () => {
  const cli = join(import.meta.dirname, '../../packages/cli/dist/bin.js');
  const help = execFileSync(process.execPath, [cli, 'train', 'mnist', '--help'], { encoding: 'utf8' });
  const flags = [...help.matchAll(/^ +(?:-\w, )?--([a-z-]+)/gm)].map(([, name]) => name);
  expect(flags.toSorted()).toEqual([...flagsOfTraining, ...flagsOfNpm].toSorted());
});

test('a flag that npm has kept is found, one that it has itself is not', () => {
  expect(flagsTakenByNpm({ npm_config_lr: '0.1', npm_config_json: 'true', PATH: '' })).toEqual(['lr']);
  expect(flagsTakenByNpm({})).toEqual([]);
});
