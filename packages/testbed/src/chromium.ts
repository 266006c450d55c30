/** Pages in headless Chromium, with WebGPU and WebGL, which SwiftShader computes where the machine has no GPU. */
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { BackendUnavailableError, KernelError } from '@tutti/core/backend';
import { DevTools } from './devtools.ts';
import { hasArchives, unpack } from './unpack.ts';
import { prefersSystem } from './vulkan.ts';

interface Browser {
  readonly path: string;
  /** Folder of the shared libraries that it needs, where the system may lack them. */
  readonly libraries?: string;
}

/** @throws BackendUnavailableError where the package has no browser for this machine. */
async function findBrowser(): Promise<Browser> {
  const own = process.env['TUTTI_CHROMIUM'];
  if (own) return { path: own };
  if (hasArchives) {
    const archives = ['chromium.br', 'al2023.tar.br', 'swiftshader.tar.br', 'fonts.tar.br'];
    const folder = await unpack('chromium', archives);
    return { path: join(folder, 'chromium'), libraries: join(folder, 'al2023', 'lib') };
  }
  throw new BackendUnavailableError(
    `no Chromium for ${process.platform} ${process.arch} comes with this workspace`,
    { fix: 'set TUTTI_CHROMIUM to the path of an installed Chromium or Chrome' },
  );
}

const flags: readonly string[] = [
  '--headless=shell',
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  '--ignore-gpu-blocklist',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
  '--autoplay-policy=no-user-gesture-required',
  '--remote-debugging-pipe',
];

/**
 * Without these the browser looks for a GPU of the machine. It composes the page with Vulkan as well: otherwise a WebGPU canvas
 * in a document and a frame of a video each cost the page its device.
 */
const software: readonly string[] = [
  '--use-webgpu-adapter=swiftshader',
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
  // Shaders of WebGL would be compiled when they are linked for targets that nobody has, in halves, and again when they are used.
  '--disable-angle-features=warmUpPipelineCacheAtLink,supportsGraphicsPipelineLibrary',
  '--disable-gpu-program-cache', // a profile lives for one page
  '--enable-features=Vulkan',
  '--use-vulkan=swiftshader',
];
const hardware: readonly string[] = ['--enable-features=Vulkan', '--use-angle=vulkan'];

export interface OpenPage {
  /** Settles when the browser ends by itself, with what it printed last. */
  readonly ended: Promise<string>;
  /** Errors of the page that nobody caught, and what it wrote with `console.error`. */
  readonly errors: readonly string[];
  /** The value of an expression in the page, awaited. It must be such that JSON can hold it. @throws KernelError */
  evaluate<R>(expression: string): Promise<R>;
  /**
   * The value of an expression as soon as it is true in JavaScript's sense; asked for again and again.
   *
   * @throws KernelError when the page has errors, or after `patience` milliseconds (default 60,000).
   */
  until<R>(expression: string, patience?: number): Promise<R>;
  close(): void;
}

/** Opens an address in a browser without a window and with a profile of its own. `more` are flags of Chromium. */
export async function openPage(address: string, more: readonly string[] = []): Promise<OpenPage> {
  const { path, libraries } = await findBrowser();
  const profile = mkdtempSync(join(tmpdir(), 'tutti-browser-'));
  const env = libraries
    ? {
        ...process.env,
        LD_LIBRARY_PATH: [libraries, process.env['LD_LIBRARY_PATH']].filter(Boolean).join(':'),
      }
    : process.env;
  const kind = prefersSystem() ? hardware : software;
  const child = spawn(path, [...flags, ...kind, ...more, `--user-data-dir=${profile}`], {
    env,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
  });
  let output = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-4000);
  });
  const ended = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('exit', (code, signal) => resolve(`the browser ended with ${signal ?? code}\n${output}`));
  });
  const errors: string[] = [];
  const devTools = new DevTools(child.stdio[3] as Writable, child.stdio[4] as Readable, (method, params) => {
    const error = errorOf(method, params);
    if (error !== undefined) errors.push(error);
  });
  void ended.then((text) => devTools.end(new KernelError(text)));
  // Its other processes end a little later, write to the profile until then, and hold its output open.
  const gone = new Promise((resolve) => child.once('close', resolve));
  const close = (): void => {
    child.kill('SIGKILL');
    void gone.then(() => rm(profile, { recursive: true, force: true, maxRetries: 8 })).catch(() => {});
  };
  try {
    const session = await openTarget(devTools, address);
    return { ended, errors, close, ...questions(devTools, session, errors) };
  } catch (error) {
    close();
    throw error;
  }
}

async function openTarget(devTools: DevTools, address: string): Promise<string> {
  const { targetId } = await devTools.send<{ targetId: string }>('Target.createTarget', {
    url: 'about:blank',
  });
  const { sessionId } = await devTools.send<{ sessionId: string }>('Target.attachToTarget', {
    targetId,
    flatten: true,
  });
  await devTools.send('Runtime.enable', {}, sessionId);
  await devTools.send('Page.navigate', { url: address }, sessionId);
  return sessionId;
}

interface Evaluated {
  readonly result: { readonly value: unknown };
  readonly exceptionDetails?: ExceptionDetails;
}

interface ExceptionDetails {
  readonly text: string;
  readonly exception?: { readonly description?: string };
}

function questions(
  devTools: DevTools,
  session: string,
  errors: readonly string[],
): Pick<OpenPage, 'evaluate' | 'until'> {
  async function evaluate<R>(expression: string): Promise<R> {
    const options = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await devTools.send<Evaluated>('Runtime.evaluate', options, session);
    if (exceptionDetails) throw new KernelError(`the page failed: ${describe(exceptionDetails)}`);
    return result.value as R;
  }
  async function until<R>(expression: string, patience = 60_000): Promise<R> {
    const end = performance.now() + patience;
    for (;;) {
      const value = await evaluate<R>(expression);
      if (value) return value;
      if (errors.length > 0) throw new KernelError(`the page failed: ${errors.join('\n')}`);
      if (performance.now() > end) throw new KernelError(`the page did not come to ${expression}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return { evaluate, until };
}

const describe = ({ text, exception }: ExceptionDetails): string => exception?.description ?? text;

function errorOf(method: string, params: unknown): string | undefined {
  if (method === 'Runtime.exceptionThrown') {
    return describe((params as { exceptionDetails: ExceptionDetails }).exceptionDetails);
  }
  if (method !== 'Runtime.consoleAPICalled') return undefined;
  const { type, args } = params as {
    type: string;
    args: readonly { readonly value?: unknown; readonly description?: string }[];
  };
  if (type !== 'error') return undefined;
  return args.map(({ value, description }) => description ?? String(value)).join(' ');
}
