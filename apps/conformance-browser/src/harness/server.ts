import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import type { PageMessage } from './message.ts';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
};

export interface PageServer {
  readonly origin: string;
  close(): void;
}

export interface PageServerOptions {
  /** The folder of the built page. */
  readonly folder: string;
  /** Whether to send the headers without which a page has no SharedArrayBuffer. */
  readonly isolated: boolean;
  readonly onMessage: (message: PageMessage) => void;
}

/** Serves the page on a free port of this machine and takes what it posts. */
export async function servePage({ folder, isolated, onMessage }: PageServerOptions): Promise<PageServer> {
  const isolation = isolated
    ? { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' }
    : {};
  const server = createServer(async (request, response) => {
    if (request.method === 'POST') {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      response.end();
      onMessage(JSON.parse(Buffer.concat(chunks).toString()) as PageMessage);
      return;
    }
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const path = join(folder, normalize(pathname === '/' ? '/index.html' : pathname));
    try {
      const body = await readFile(path);
      response
        .writeHead(200, { ...isolation, 'Content-Type': types[extname(path)] ?? 'application/octet-stream' })
        .end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
