import { type IncomingMessage, request } from 'node:http';

/** As `fetch`, of a server that listens at a path; a connection each time. */
export async function requestBySocket(socketPath: string, path: string, init: RequestInit): Promise<Response> {
  const { method = 'GET', headers = {}, body, signal } = init;
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request(
      {
        socketPath,
        agent: false,
        path,
        method,
        headers: { ...(headers as Record<string, string>) },
        ...(signal && { signal }),
      },
      resolve,
    );
    sent.on('error', reject);
    sent.end(body);
  });
  const parts: Buffer[] = [];
  for await (const part of answer) parts.push(part);
  const received = new Headers();
  for (let at = 0; at < answer.rawHeaders.length; at += 2) {
    received.append(answer.rawHeaders[at] ?? '', answer.rawHeaders[at + 1] ?? '');
  }
  return new Response(Buffer.concat(parts), { status: answer.statusCode ?? 0, headers: received });
}
