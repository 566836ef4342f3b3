/**
 * Seeds by which mutants were caught, from seed 1 on, that takes more than a few. Any change of the code may have others
 * catch them: then it takes longer again until these are written down anew.
 */
export const CAUGHT_BY: Readonly<Record<string, number>> = {};
