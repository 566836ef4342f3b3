import type { View } from '../../lib/membership/index.js';
import type { Hello } from '../../lib/wire/messages.js';

/** What a process of that name would say, that lives in that view. */
export function helloOf(name: string, view: View | null, said: Partial<Hello> = {}): Hello {
  return {
    type: 'hello',
    name,
    host: name,
    streamPort: 0,
    clusterSize: 3,
    maxClockSkewMs: 10_000,
    wish: 0,
    phase: 'voter',
    bound: 0,
    view,
    slot: 0,
    open: [],
    ended: [],
    lost: 0,
    voter: 0,
    isDurable: false,
    hasResigned: false,
    copied: 0,
    ...said,
  };
}
