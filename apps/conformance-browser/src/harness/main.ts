#!/usr/bin/env node
/** `conformance-browser [--filter text] [--json FILE] [--no-isolation]` */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { formatReport } from '@tutti/conformance';
import { runInBrowser } from './run.ts';

const { values } = parseArgs({
  options: {
    filter: { type: 'string' },
    json: { type: 'string' },
    'no-isolation': { type: 'boolean', default: false },
  },
});

const { report, exitCode, isolated } = await runInBrowser({
  isolated: !values['no-isolation'],
  ...(values.filter ? { filter: values.filter } : {}),
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
