/**
 * What runs in a simulated VM's namespaces: its services by the boot script on its system disk, then its SSH server.
 * It is told everything through its standard input, and when that ends its power is gone.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { createSshServer } from '../../../src/machines/local/ssh-server.ts';

export interface GuestOrder {
  hostKey: string;
  authorizedKeys: string[];
  user: string;
  /** Who everything in the guest runs as. */
  uid: number;
  home: string;
  /** Run as an init would before anybody can log in; its failure is not the machine's. */
  bootScript: string;
  /** Where its network card's SSH port is joined to the world. */
  socket: string;
}

const lines = createInterface({ input: process.stdin });
lines.once('line', (line) => start(JSON.parse(line) as GuestOrder)); // from the one who made the machine
lines.once('close', () => process.exit(0));

function start(order: GuestOrder): void {
  const env = { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: order.home, USER: order.user, LANG: 'C.UTF-8' };
  const server = createSshServer({ ...order, env });
  const { uid } = order;
  if (existsSync(order.bootScript)) {
    spawnSync('/bin/sh', [order.bootScript], { uid, gid: uid, env, cwd: order.home, stdio: 'ignore' });
  }
  server.listen(order.socket, () => {
    chmodSync(order.socket, 0o600);
    chownSync(order.socket, uid, uid);
    process.setgroups?.([uid]);
    process.setgid?.(uid);
    process.setuid?.(uid);
    process.chdir(order.home);
    process.stdout.write('up\n');
  });
}
