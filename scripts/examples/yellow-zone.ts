import {
  decideZone,
  explainZone,
  nextAction,
  type Zone,
  type ZoneActionKind,
  type ZoneDecision,
} from '../../src/retention/zone.ts';
import { mustBe, type Tell } from './scenario.ts';

const gibibyte = 2 ** 30;
const hour = 3_600_000;
const totalBytes = 100 * gibibyte;
const settings = { yellow: 0.8, red: 0.95, blockAt: 'red' as const };

/** An archive by what is in it, in bytes. */
interface Archive {
  /** What a kept backup still needs: nothing of it may go (R11). */
  needed: number;
  obsolete: number;
  /** Archived logs that could be compressed into the second destination. */
  movable: number;
  held: boolean;
  backupsTaken: number;
  removedNeeded: number;
}

const usedBytes = ({ needed, obsolete, movable }: Archive): number => needed + obsolete + movable;

function decide(archive: Archive, history: { atMs: number; usedBytes: number }[], at: number): ZoneDecision {
  return decideZone(
    {
      areas: [{ name: 'archive', totalBytes, usedBytes: usedBytes(archive), history: [...history] }],
      obsoleteBytes: archive.obsolete,
      movableLogBytes: archive.movable,
      // A pin keeps the old backup until somebody lifts it: only the last resort makes it obsolete.
      backupNow: { raisesMark: false, freesBytes: 40 * gibibyte, needsBytes: 2 * gibibyte },
      refreshesHeld: archive.held,
      transactionsBlocked: false,
    },
    settings,
    at * hour,
  );
}

function carryOut(archive: Archive, kind: ZoneActionKind): void {
  if (kind === 'hold-refreshes') archive.held = true;
  if (kind === 'release-refreshes') archive.held = false;
  if (kind === 'remove-obsolete') archive.obsolete = 0;
  if (kind === 'compress-and-move-logs') archive.movable = 0;
  if (kind !== 'quiesced-backup') return;
  // What the old backup needed is needed no more; the new one takes its own room.
  archive.backupsTaken += 1;
  archive.needed += 2 * gibibyte - 40 * gibibyte;
  archive.obsolete += 40 * gibibyte;
}

/** Half a day of an archive that fills by 5 GiB an hour (R12): green, yellow, red, and green again by itself. */
export function play(tell: Tell): void {
  const archive: Archive = {
    needed: 61 * gibibyte,
    obsolete: 6 * gibibyte,
    movable: 3 * gibibyte,
    held: false,
    backupsTaken: 0,
    removedNeeded: 0,
  };
  const history: { atMs: number; usedBytes: number }[] = [];
  const zones: Zone[] = [];
  let doneInZone = new Set<ZoneActionKind>();
  for (let at = 0; at <= 10; at += 1) {
    const doneInRun = new Set<ZoneActionKind>();
    let decision = decide(archive, history, at);
    if (zones.at(-1) !== decision.zone) doneInZone = new Set();
    zones.push(decision.zone);
    tell(`${String(at).padStart(2)}:00  ${explainZone(decision).join('; ')}`);
    for (;;) {
      const action = nextAction(decision, doneInRun, doneInZone);
      if (action === null) break;
      const before = archive.needed;
      tell(`         ${action.kind}: ${action.reason}`);
      carryOut(archive, action.kind);
      if (archive.needed < before && action.kind !== 'quiesced-backup') archive.removedNeeded += 1;
      if (action.kind === 'quiesced-backup') doneInRun.delete('remove-obsolete');
      else doneInRun.add(action.kind);
      doneInRun.add(action.kind);
      doneInZone.add(action.kind);
      decision = decide(archive, history, at);
    }
    history.push({ atMs: at * hour, usedBytes: usedBytes(archive) });
    archive.needed += 5 * gibibyte;
  }
  mustBe(zones.includes('yellow') && zones.includes('red'), 'the archive went through yellow to red');
  mustBe(zones.lastIndexOf('green') > zones.lastIndexOf('red'), 'it came back to green by itself');
  mustBe(archive.backupsTaken === 1, 'writers waited once, for one quiesced backup');
  mustBe(archive.removedNeeded === 0, 'nothing that a kept backup needs was removed');
  tell(
    '\nNo log above the low water mark was removed: room came from what was obsolete, and from the backup that made more of it so.',
  );
}
