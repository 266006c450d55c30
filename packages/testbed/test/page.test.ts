import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type OpenPage, openPage } from '../src/index.ts';

describe('a page', () => {
  let server: Server;
  let page: OpenPage;
  beforeAll(async () => {
    server = createServer((_, response) => {
      response.setHeader('Content-Type', 'text/html').end('<title>A page</title><script>var n = 0;</script>');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    page = await openPage(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await page.until("document.title === 'A page'");
  });
  afterAll(() => {
    page.close();
    server.close();
  });

  it('answers, and waits for what is not true yet', async () => {
    expect(await page.evaluate('Promise.resolve({ a: [1, "two"] })')).toEqual({ a: [1, 'two'] });
    expect(await page.until('++n > 3 && n')).toBe(4);
  });

  it('has WebGPU', async () => {
    expect(await page.evaluate('navigator.gpu.requestAdapter().then((adapter) => adapter !== null)')).toBe(
      true,
    );
  });

  it('tells what went wrong in it', async () => {
    await expect(page.evaluate('missing + 1')).rejects.toThrow(/the page failed: ReferenceError: missing/);
    await page.evaluate("setTimeout(() => { throw new RangeError('late') })");
    await expect(page.until('false')).rejects.toThrow(/RangeError: late/);
    expect(page.errors).toHaveLength(1);
  });
});
