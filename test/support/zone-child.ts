import { openSite } from '../../src/pipeline/open-site.ts';
import { guardZone } from '../../src/pipeline/zone-guard.ts';
import { silent } from '../../src/progress.ts';

/** One run of the guard of the zones in a process of its own, so that a test can kill it: `zone-child.ts SITE`. */
const { signal } = new AbortController();
await using opened = await openSite(process.argv[2] ?? '', signal);
await guardZone(opened, {
  by: 'child',
  signal,
  onProgress: silent,
  now: () => new Date(),
  page: async () => {},
});
