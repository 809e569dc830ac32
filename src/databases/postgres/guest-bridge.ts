import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBridge } from '../../guest/bridge.ts';
import type { Guest } from '../../guest/guest.ts';

const prefix = 'clona-b-';
const socketName = '.s.PGSQL.5432';

/** Disposing ends its connections and removes it; the guest stays the caller's. */
export interface GuestBridge extends AsyncDisposable {
  /** Folder that only we may enter, with a socket named as PostgreSQL's own at port 5432. */
  folder: string;
}

/**
 * A Unix socket here whose connections lead to one in the guest, whatever network the guest has. `open` is asked with
 * every connection; `ownsGuests`: the guest is the connection's own, is closed with it, and nothing waits for the bridge.
 */
export async function openGuestBridge(
  open: () => Promise<Guest>,
  socket: string,
  signal: AbortSignal,
  ownsGuests = false,
): Promise<GuestBridge> {
  const parent = tmpdir().length > 60 ? '/tmp' : tmpdir();
  await removeLeft(parent);
  const folder = await mkdtemp(join(parent, `${prefix}${process.pid}-`));
  const refuse = (near: Socket, error: unknown): void => {
    const reason = error instanceof Error ? error.message : String(error);
    near.end(refusal(`nobody answers at ${socket} in the guest: ${reason}`));
  };
  const way = { open, to: { socket }, signal, ownsGuests, refuse };
  const bridge = await openBridge({ path: join(folder, socketName) }, way);
  return {
    folder,
    [Symbol.asyncDispose]: async () => {
      await bridge[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Folders of processes that were killed: the name says whose they were. */
async function removeLeft(parent: string): Promise<void> {
  for (const name of await readdir(parent).catch(() => [])) {
    const [, pid] = /^clona-b-(\d+)-/.exec(name) ?? [];
    if (pid === undefined || isAlive(Number(pid))) continue;
    // Numbers of another namespace say nothing; a socket that answers does.
    if (await answers(join(parent, name, socketName))) continue;
    await rm(join(parent, name), { recursive: true, force: true }).catch(() => {});
  }
}

async function answers(socket: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const probe = connect(socket);
  probe.once('connect', () => resolve(true));
  probe.once('error', () => resolve(false));
  try {
    return await promise;
  } finally {
    probe.destroy();
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}

/** What a server would say that turns a session away (the manual's "Message Formats", ErrorResponse), so that the driver can tell why. */
function refusal(message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C08001\0M${message}\0\0`);
  const head = Buffer.alloc(5);
  head.write('E', 0, 'latin1');
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}
