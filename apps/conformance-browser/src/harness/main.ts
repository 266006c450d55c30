#!/usr/bin/env node
/**
 * `conformance-browser [--backend a,b] [--filter text] [--modes a,b] [--every n] [--random-graphs n] [--json FILE]
 * [--browsers n] [--no-isolation]`; `TUTTI_WEBGPU_LIMITS=default` as in Node.
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { formatReport, type Mode } from '@tutti/conformance';
import { runInBrowser } from './run.ts';

const { values } = parseArgs({
  options: {
    backend: { type: 'string' },
    filter: { type: 'string' },
    modes: { type: 'string' },
    every: { type: 'string' },
    'random-graphs': { type: 'string' },
    json: { type: 'string' },
    browsers: { type: 'string' },
    'no-isolation': { type: 'boolean', default: false },
  },
});

/** Most of the time of a run goes into compiling shaders, which one browser does with one thread. */
const usualBrowsers = Math.min(4, availableParallelism());

const { report, exitCode, isolated } = await runInBrowser({
  isolated: !values['no-isolation'],
  browsers: values.browsers ? Number(values.browsers) : usualBrowsers,
  limits: process.env['TUTTI_WEBGPU_LIMITS'] || undefined,
  ...(values.backend ? { backends: values.backend.split(',') } : {}),
  ...(values.filter ? { filter: values.filter } : {}),
  ...(values.modes ? { modes: values.modes.split(',') as Mode[] } : {}),
  ...(values.every ? { every: Number(values.every) } : {}),
  ...(values['random-graphs'] ? { randomGraphs: Number(values['random-graphs']) } : {}),
  onProgress: ({ done, total, case: name }) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${done}/${total} ${name}`);
  },
});
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
console.log(formatReport(report));
console.log(
  isolated ? 'in a page with SharedArrayBuffer' : 'in a page without SharedArrayBuffer: one thread',
);
if (values.json) writeFileSync(values.json, JSON.stringify(report, null, 1));
process.exitCode = exitCode;
