/** What a user has: a cookie jar, and no idea which server answers. */
import type { Server } from './farm.js';
import { until } from './waiting.js';

let gates = 0;

/** A browser: it keeps the session's cookie, whichever server it talks to. */
export class Browser {
  cookie: string | undefined;

  /** @param path with its query, below `/web` or `/resave` */
  async post(server: Server, path: string): Promise<Answer> {
    return this.#keep(await server.request(path, { method: 'POST', headers: this.#headers() }));
  }

  async read(server: Server, app = '/web'): Promise<Record<string, unknown>> {
    const { text } = await this.#keep(await server.request(`${app}/read`, { headers: this.#headers() }));
    return JSON.parse(text) as Record<string, unknown>;
  }

  /** Gives the session's id. */
  async login(server: Server, user: string, app = '/web', id = ''): Promise<string> {
    const query = new URLSearchParams({ user, id });
    const { text } = await this.post(server, `${app}/login?${query}`);
    return (JSON.parse(text) as { readonly id: string }).id;
  }

  /** A slow request: resolves when it has loaded its session. */
  async begin(server: Server, path: string): Promise<SlowRequest> {
    gates += 1;
    const gate = `gate-${gates}`;
    let early: unknown = null;
    const answer = this.post(server, `${path}${path.includes('?') ? '&' : '?'}gate=${gate}`);
    answer.then(
      ({ status }) => {
        early = status;
      },
      (error: unknown) => {
        early = error;
      },
    );
    await until('a slow request has loaded its session', () => {
      if (early !== null && !server.arrived.has(gate)) throw new Error(`It ended before it was slow: ${early}`);
      return server.arrived.has(gate);
    });
    return {
      end: () => {
        server.open(gate);
        return answer;
      },
    };
  }

  #headers(): Record<string, string> {
    return this.cookie === undefined ? {} : { cookie: this.cookie };
  }

  async #keep(response: Response): Promise<Answer> {
    const [set] = response.headers.getSetCookie();
    if (set !== undefined) this.cookie = set.split(';', 1)[0];
    // To its end: express-session sends the head while it saves, and keeps the last byte back until that is done.
    return { status: response.status, text: await response.text() };
  }
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

export interface SlowRequest {
  /** Lets it save its session and answer. */
  end(): Promise<Answer>;
}
