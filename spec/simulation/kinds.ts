/** What tells kinds of violations apart: a run is shrunk to one that violates the same. */
const KINDS: readonly (readonly [pattern: RegExp, kind: string])[] = [
  [/^not linearizable/, 'not linearizable'],
  [/^two farms serve/, 'two farms'],
  [/ came back after /, 'an ended session came back'],
  [/^session .* from nowhere$/, 'from nowhere'],
  [/^session .* after it was /, 'a saved field is lost'],
  [/^session .* is lost/, 'a session is lost'],
  [/^session .* is listed/, 'an ended session is listed'],
  [/^session .* is not listed/, 'a live session is not listed'],
  [/^ballot .* was issued twice/, 'a ballot was issued twice'],
  [/: two values at /, 'two values at a ballot'],
  [/: promised below /, 'promised below a promise'],
  [/: accepted .* below /, 'accepted below a promise'],
  [/ still holds /, 'memory is left'],
  [/^lease ended too early/, 'a lease ended too early'],
  [/^lease outlives/, 'a lease outlives its end'],
  [/ goes back from revision /, 'a revision went back'],
  [/ was told (nothing|set|removed)/, 'a change was not told'],
  [/ was never answered$/, 'a call was never answered'],
];

/** Violations that differ in names, times and numbers only are of one kind. */
export function kindOf(violation: string): string {
  const [first = ''] = violation.split('\n');
  const known = KINDS.find(([pattern]) => pattern.test(first));
  if (known !== undefined) return known[1];
  return first
    .split(/\s+/)
    .filter((word) => !/[\d/]/.test(word))
    .join(' ');
}
