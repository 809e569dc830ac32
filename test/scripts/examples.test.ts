import { expect, test } from 'vitest';
import { play as fuzzyScn } from '../../scripts/examples/fuzzy-scn.ts';
import { play as hotBackup } from '../../scripts/examples/hot-backup.ts';
import { play as incarnations } from '../../scripts/examples/incarnations.ts';
import { play as mediaLoss } from '../../scripts/examples/media-loss.ts';
import type { Tell } from '../../scripts/examples/scenario.ts';
import { play as yellowZone } from '../../scripts/examples/yellow-zone.ts';

// Each throws where the theory is contradicted; here is what a reader must have seen of it.
test.for<readonly [string, (tell: Tell) => void, string[]]>([
  [
    'incarnations',
    incarnations,
    ['-> 1 -> 2 -> 4', 'ORPHAN', 'after RESET DATABASE TO INCARNATION 3', 'backup B2'],
  ],
  [
    'hot-backup',
    hotBackup,
    ['fractured', '<- lost', 'END BACKUP on the original files', 'proven to be the originals'],
  ],
  ['fuzzy-scn', fuzzyScn, ['absolute fuzzy', 'unreachable', 'reachable: backup B1']],
  ['media-loss', mediaLoss, ['with a quiesced backup', 'unreachable', 'the online log is lost']],
  [
    'yellow-zone',
    yellowZone,
    ['(green)', '(yellow)', '(red)', 'hold-refreshes', 'quiesced-backup', 'release-refreshes'],
  ],
])('the example %s plays to its end', ([, play, seen]) => {
  const told: string[] = [];
  play((line) => told.push(line));
  for (const words of seen) expect(told.join('\n')).toContain(words);
});
