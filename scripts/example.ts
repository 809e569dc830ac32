#!/usr/bin/env node
// npm run example -- NAME: the theory of recovery (docs/recovery-theory.md), played in test/simulator.
import type { Tell } from './examples/scenario.ts';

const examples: Record<string, { about: string; load: () => Promise<{ play: (tell: Tell) => void }> }> = {
  incarnations: {
    about: 'branches of history: CURRENT, PARENT, ORPHAN, and the way to a target on each',
    load: () => import('./examples/incarnations.ts'),
  },
  'hot-backup': {
    about: 'a fractured block and what heals it; a crash in backup mode and its cure',
    load: () => import('./examples/hot-backup.ts'),
  },
  'fuzzy-scn': {
    about: 'from where on a managed backup is consistent',
    load: () => import('./examples/fuzzy-scn.ts'),
  },
  'media-loss': {
    about: 'what is left when database, online log or every log is lost, by kind of backup',
    load: () => import('./examples/media-loss.ts'),
  },
  'yellow-zone': {
    about: 'an archive that fills: what is done, in which order, and what never',
    load: () => import('./examples/yellow-zone.ts'),
  },
};

const name = process.argv[2];
const chosen = name === undefined ? undefined : examples[name];
if (chosen === undefined) {
  console.log('npm run example -- NAME\n');
  for (const [known, { about }] of Object.entries(examples)) console.log(`  ${known.padEnd(14)}${about}`);
  process.exitCode = name === undefined ? 0 : 2;
} else {
  (await chosen.load()).play((line) => console.log(line));
}
