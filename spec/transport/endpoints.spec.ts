import { describe, expect, it } from '@jest/globals';
import { canonicalHost, formatEndpoint, parseEndpoint } from '../../lib/transport/endpoints.js';

describe('endpoints', () => {
  it.each(['10.0.0.1:5000', '[::1]:0', '[fe80::1%eth0]:7', 'localhost:65535', 'a_b.c-d.example:80', '1up:80'])(
    '%s is read and written',
    (text) => {
      const endpoint = parseEndpoint(text);
      expect(endpoint && formatEndpoint(endpoint)).toBe(text);
    },
  );

  it.each(['', ':5000', 'host', 'host:', 'host:-1', 'host:99999', '[]:1', '[::1]', '::1', 'a b:1', '-a:1', '1.2.3:4'])(
    "'%s' is none",
    (text) => {
      expect(parseEndpoint(text)).toBeUndefined();
    },
  );

  it('writes an IPv6 address in one way', () => {
    expect(canonicalHost('FD00:0:0::2')).toBe('fd00::2');
    expect(canonicalHost('FE80:0::1%eth0')).toBe('fe80::1%eth0');
    expect(canonicalHost('10.0.0.1')).toBe('10.0.0.1');
  });
});
