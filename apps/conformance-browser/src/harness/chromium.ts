import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { BackendUnavailableError } from '@tutti/core/backend';

interface Browser {
  readonly path: string;
  /** Folder of the shared libraries that it needs, where the system may lack them. */
  readonly libraries?: string;
}

const cache = join(import.meta.dirname, '..', '..', 'node_modules', '.cache', 'chromium');
const archives = ['chromium.br', 'al2023.tar.br', 'swiftshader.tar.br', 'fonts.tar.br'];

/** Unpacks the browser of the npm package once. The package unpacks to the temporary folder, so that one is replaced meanwhile. */
async function unpack(): Promise<Browser> {
  const { inflate } = await import('@sparticuz/chromium');
  const archiveFolder = join(
    dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium')),
    '..',
    'bin',
  );
  if (!existsSync(cache)) {
    mkdirSync(dirname(cache), { recursive: true });
    const draft = mkdtempSync(`${cache}-`);
    const before = process.env['TMPDIR'];
    process.env['TMPDIR'] = draft;
    try {
      for (const archive of archives) await inflate(join(archiveFolder, archive));
    } finally {
      if (before === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = before;
    }
    // In one step: another process may be doing the same.
    if (existsSync(cache)) rmSync(draft, { recursive: true });
    else renameSync(draft, cache);
  }
  return { path: join(cache, 'chromium'), libraries: join(cache, 'al2023', 'lib') };
}

/** @throws BackendUnavailableError where the package has no browser for this machine. */
async function findBrowser(): Promise<Browser> {
  const own = process.env['TUTTI_CHROMIUM'];
  if (own) return { path: own };
  if (process.platform === 'linux' && process.arch === 'x64') return unpack();
  throw new BackendUnavailableError(
    `no Chromium for ${process.platform} ${process.arch} comes with this workspace`,
    {
      fix: 'set TUTTI_CHROMIUM to the path of an installed Chromium or Chrome',
    },
  );
}

const flags: readonly string[] = [
  '--headless=shell',
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
  '--ignore-gpu-blocklist',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
  '--remote-debugging-port=0',
];

export interface OpenPage {
  /** Settles when the browser ends by itself. */
  readonly ended: Promise<string>;
  close(): void;
}

/** Opens an address in a browser without a window and with a profile of its own. */
export async function openPage(address: string): Promise<OpenPage> {
  const { path, libraries } = await findBrowser();
  const profile = mkdtempSync(join(tmpdir(), 'tutti-browser-'));
  const env = libraries
    ? {
        ...process.env,
        LD_LIBRARY_PATH: [libraries, process.env['LD_LIBRARY_PATH']].filter(Boolean).join(':'),
      }
    : process.env;
  const child: ChildProcess = spawn(path, [...flags, `--user-data-dir=${profile}`, address], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let output = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-4000);
  });
  const ended = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('exit', (code, signal) => resolve(`the browser ended with ${signal ?? code}\n${output}`));
  });
  return {
    ended,
    close: () => {
      child.kill('SIGKILL');
      void ended.then(() => rmSync(profile, { recursive: true, force: true, maxRetries: 5 }));
    },
  };
}
