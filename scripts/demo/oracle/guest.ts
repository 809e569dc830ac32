import { chown, cp, mkdir, writeFile } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Guest } from '../../../src/guest/guest.ts';
import { quoteSh } from '../../../src/guest/quote.ts';
import type { NewOracleDatabase } from '../../../test/oracle-sim/guest/dbca.ts';
import type { OracleMachineSettings } from '../../../test/oracle-sim/guest/machine.ts';
import { writeTools } from '../../../test/oracle-sim/machine/tools.ts';
import type { GuestHostOptions } from '../vsphere/guests.ts';

const execute = promisify(execFile);

/** Oracle's software for the guests of one host: simulated, so it is a program of Node.js. */
export interface OracleSoftware {
  /** ORACLE_HOME, on the system disk of a guest. */
  home: string;
  /** What `openGuestHost` must offer for it. */
  options: GuestHostOptions;
  /** The simulator and Node.js, as guests see them. */
  program: string;
  node: string;
}

export const listenerPort = 1521;
/** Where a guest's network card finds the listener, on its data disk. */
const listenerSocket = 'listener';

/** `folder`: of the guest host. Guests run as a user who may not see a checkout, so the simulator is copied there once. */
export async function layOracleSoftware(folder: string): Promise<OracleSoftware> {
  const mounts = join(folder, 'mnt');
  const program = join(folder, 'oracle-sim');
  await mkdir(mounts, { recursive: true, mode: 0o711 });
  await mkdir(program, { mode: 0o755 });
  await cp(fileURLToPath(new URL('../../../test/oracle-sim', import.meta.url)), join(program, 'oracle-sim'), {
    recursive: true,
    filter: (path) => !path.endsWith('.test.ts'),
  });
  await writeFile(join(program, 'package.json'), '{ "type": "module" }\n');
  await execute('chmod', ['-R', 'a+rX', program]);
  const node = join(mounts, 'node');
  await writeFile(node, '', { mode: 0o755 });
  return {
    home: join(mounts, 'system', 'oracle'),
    options: {
      furnished: true,
      mounts: [{ from: process.execPath, to: node, readOnly: true }],
      ports: new Map([[listenerPort, listenerSocket]]),
    },
    program: join(program, 'oracle-sim', 'guest', 'main.ts'),
    node,
  };
}

/** Installs it on the disks of a machine that is off or on; its boot script starts it, as a service manager would. */
export async function installOracle(
  { home, program, node }: OracleSoftware,
  machine: {
    hostName: string;
    systemDisk: string;
    dataPath: string;
    uid: number;
    /** Of SYS: for the password file that all instances of the home share. */
    sysPassword: string;
  },
): Promise<void> {
  const { hostName, systemDisk, dataPath, uid, sysPassword } = machine;
  const on = join(systemDisk, 'oracle');
  await mkdir(join(on, 'dbs'), { recursive: true });
  await writeTools(on, node, { more: ['dbca'], socketPath: join(home, 's') });
  const settings: OracleMachineSettings = {
    home,
    hostName,
    port: listenerPort,
    socket: join(dataPath, listenerSocket),
    logBytes: 200_000,
  };
  await writeFile(join(on, 'dbs', 'orapw'), `${sysPassword}\n`, { mode: 0o640 });
  await writeFile(join(on, 'machine.json'), JSON.stringify(settings));
  await writeFile(join(systemDisk, 'boot'), bootScript(home, node, program), { mode: 0o755 });
  await writeFile(join(systemDisk, 'halt'), haltScript(home), { mode: 0o755 });
  for (const path of ['oracle', 'oracle/bin', 'oracle/dbs', 'oracle/dbs/orapw', 'boot', 'halt'])
    await chown(join(systemDisk, path), uid, uid);
}

/** Started again while it runs, the second one finds its port taken and ends. */
function bootScript(home: string, node: string, program: string): string {
  return `h=${quoteSh(home)}
rm -f "$h/ready"
NODE_COMPILE_CACHE="$h/cache" ${quoteSh(node)} --disable-warning=ExperimentalWarning --max-old-space-size=256 ${quoteSh(program)} "$h/machine.json" >>"$h/log" 2>&1 </dev/null &
while [ ! -e "$h/ready" ] && kill -0 $! 2>/dev/null; do sleep 0.05; done
`;
}

/** dbshut: every instance that runs ends clean. */
function haltScript(home: string): string {
  return `h=${quoteSh(home)}
for s in $(sed -n 's/^\\([A-Za-z0-9_]*\\):.*/\\1/p' "$h/oratab" 2>/dev/null); do
  printf 'SHUTDOWN IMMEDIATE\\nEXIT\\n' | ORACLE_HOME="$h" ORACLE_SID="$s" "$h/bin/sqlplus" -S / as sysdba
done
`;
}

/** CREATE DATABASE on a machine that is on. */
export async function createOracleDatabase(
  guest: Guest,
  home: string,
  wanted: NewOracleDatabase,
  signal: AbortSignal,
): Promise<void> {
  const { exitCode, stdout, stderr } = await guest.run([join(home, 'bin', 'dbca')], {
    signal,
    stdin: JSON.stringify(wanted),
  });
  if (exitCode !== 0) throw new Error(`the database ${wanted.databaseName} is not made: ${stdout}${stderr}`);
}
