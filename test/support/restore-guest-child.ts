import type { GuestAddress } from '../../src/guest/guest.ts';
import { openGuest } from '../../src/guest/open.ts';
import { openGuestPlace } from '../../src/databases/postgres/restore/place/guest-place.ts';
import { restore } from '../../src/databases/postgres/restore/restore.ts';
import { resolveBinaries } from '../../src/databases/postgres/server-binaries.ts';

/** A restore over SSH in a process of its own that kills itself at a word. Arguments: archive, target, user number or nothing, address as JSON, word. */
const [archiveDir = '', target = '', uid = '', address = '', word = ''] = process.argv.slice(2);
const signal = new AbortController().signal;
// The test wrote it as what it is.
const guestAddress = JSON.parse(address) as GuestAddress;
const binaries = await resolveBinaries({
  runAs: uid === '' ? undefined : { uid: Number(uid), gid: Number(uid) },
});
await using guest = await openGuest(guestAddress, signal);
await using lane = await openGuest(guestAddress, signal);
await using place = openGuestPlace({ guest, lanes: [lane], binaries, workers: 2, signal });
await restore({
  archiveDir,
  until: { kind: 'latest' },
  place,
  target,
  binaries,
  workers: 2,
  sharedBuffers: '16MB',
  signal,
  onProgress: ({ step, state }) => {
    if (`${state} ${step}` !== word) return;
    // By itself, as kill -9 does: from outside it might come when all is done, on a busy machine.
    process.kill(process.pid, 'SIGKILL');
  },
});
