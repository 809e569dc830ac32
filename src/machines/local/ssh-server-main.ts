/**
 * The process that is a local machine's power: while it lives, the machine is on. It is told everything through
 * stdin, takes its place, gives up our rights for the machine's own, and then lets the first client in.
 */
import { chmodSync, chownSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { json } from 'node:stream/consumers';
import { createSshServer, type SshServerSettings } from './ssh-server.ts';
import { processStamp } from './processes.ts';

export interface ServerOrder extends SshServerSettings {
  listen: { kind: 'socket'; path: string } | { kind: 'tcp'; port: number };
  uid: number | null;
  /** Where number, starting time and port are left for those who look for the machine. */
  recordFile: string;
}

/** What recordFile holds, and what is said on stdout when the server is ready. */
export interface ServerRecord {
  pid: number;
  stamp: string;
  port: number | null;
}

const order = (await json(process.stdin)) as ServerOrder; // from the one who started us
const stamp = await processStamp(process.pid);
if (stamp === undefined) throw new Error('this process cannot find itself');
const { listen } = order;
const server = createSshServer(order);

server.on('error', (error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
if (listen.kind === 'socket') {
  // Left by a power cut: nobody answers there any more, or the machine would be on.
  rmSync(listen.path, { force: true });
  server.listen(listen.path, ready);
} else {
  server.listen(listen.port, '127.0.0.1', ready);
}

/** All in one turn of the event loop: no client is heard before our rights are gone. */
function ready(): void {
  const address = server.address();
  if (listen.kind === 'socket') {
    chmodSync(listen.path, 0o600);
    if (order.uid !== null) chownSync(listen.path, order.uid, order.uid);
  }
  const record: ServerRecord = {
    pid: process.pid,
    stamp: String(stamp),
    port: typeof address === 'object' && address !== null ? address.port : null,
  };
  const text = JSON.stringify(record);
  writeFileSync(`${order.recordFile}.partial`, text, { mode: 0o600 });
  renameSync(`${order.recordFile}.partial`, order.recordFile);
  becomeUser(order.uid);
  process.chdir(order.home);
  process.umask(0o022);
  process.stdout.write(`${text}\n`);
}

function becomeUser(uid: number | null): void {
  if (uid === null) return;
  process.setgroups?.([uid]);
  process.setgid?.(uid);
  process.setuid?.(uid);
  if (process.getuid?.() !== uid || process.geteuid?.() !== uid)
    throw new Error('our rights could not be given up');
}

process.on('SIGHUP', () => {});
process.on('SIGPIPE', () => {});
process.on('SIGTERM', () => {
  server.close();
  if (listen.kind === 'socket') rmSync(listen.path, { force: true });
  process.exit(0);
});
