/** Servers of the HTTP API over key-values in memory, and questions to them. */
import { request as requestByHttp } from 'node:http';
import { afterEach } from '@jest/globals';
import { FarmItems } from '../../lib/cli/farm-items.js';
import { createGuard } from '../../lib/cli/http/guard.js';
import { HttpApi } from '../../lib/cli/http/server.js';
import { MemoryValues } from './memory-values.js';

export const TOKEN = 'a token of ours, long enough'.replaceAll(' ', '-');
const open: HttpApi[] = [];

/** Ends every server that a spec of the file has started. */
export function closeAll(): void {
  afterEach(async () => {
    await Promise.all(open.splice(0).map((api) => api.close()));
  });
}

export interface Started {
  readonly values: MemoryValues;
  readonly url: string;
  readonly api: HttpApi;
}

export async function start({
  token,
  host = '127.0.0.1',
  maxValueSize = 1000,
}: {
  token?: string;
  host?: string;
  maxValueSize?: number;
} = {}): Promise<Started> {
  const values = new MemoryValues();
  const api = new HttpApi({
    address: { host, port: 0 },
    guard: createGuard({ host, port: 0 }, token),
    items: new FarmItems(values, 2000),
    maxValueSize,
    status: () => ({ isReady: true }),
  });
  open.push(api);
  return { values, api, url: await api.listen() };
}

/** As it is: `fetch` has ideas of its own about paths and headers. */
export function ask(
  url: string,
  path: string,
  {
    method = 'GET',
    headers = {},
    body,
  }: { method?: string; headers?: Record<string, string>; body?: string | Buffer } = {},
): Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; body: Buffer; json: () => unknown }> {
  return new Promise((resolve, reject) => {
    const request = requestByHttp(url, { method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const bytes = Buffer.concat(chunks);
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: bytes,
          json: () => JSON.parse(bytes.toString()),
        });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}
