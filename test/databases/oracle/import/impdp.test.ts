import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pairSchemas } from '../../../../src/databases/oracle/import/clone-schema.ts';
import { impdpRun } from '../../../../src/databases/oracle/import/parameter-file.ts';
import { judgeJobLog } from '../../../../src/proof/job-log.ts';
import { installTools } from '../../../oracle-sim/machine/tools.ts';
import { makeTestFolder } from '../../../support/machine.ts';
import { openPumpWorld } from '../../../support/oracle-pump.ts';

// Driver-verified, not Oracle-verified: see test/oracle-sim/README.md.

test('impdp takes our parameter file, with names in mixed case, and the password from stdin', async () => {
  const folder = await makeTestFolder();
  try {
    await using world = await openPumpWorld(folder, new AbortController().signal);
    await using tools = await installTools(world.sim.server, folder);
    await world.exportErp({ files: ['e01.dmp', 'e02.dmp'] });
    await world.run('CREATE USER "Clona_ERP" IDENTIFIED BY x QUOTA UNLIMITED ON USERS');
    const { user, password } = world.sim;
    const job = {
      name: 'CLONA_1',
      pairs: pairSchemas(['ERP'], '"Clona"'),
      tablespaces: { ERP: 'USERS' },
      directory: 'DUMPS',
      dumpFiles: ['e01.dmp', 'e02.dmp'],
      logFile: 'i.log',
      parallel: { degree: 1, licensed: false },
    };
    const logon = { kind: 'prompt', user, password, connect: '127.0.0.1/ERP' } as const;
    const { argv, parameters, stdin } = impdpRun(job, logon, join(folder, 'i.par'));
    await writeFile(join(folder, 'i.par'), parameters);
    const said = await new Promise<string>((resolve) => {
      const child = execFile(
        join(tools.bin, 'impdp'),
        argv.slice(1),
        { cwd: folder },
        (_, stdout, stderr) => {
          resolve(`${stdout}${stderr}`);
        },
      );
      child.stdin?.end(stdin);
    });
    expect(said).not.toContain(password);
    const log = await readFile(join(folder, 'i.log'), 'utf8').catch(() => said);
    expect(judgeJobLog(log)).toMatchObject({ kind: 'impdp', verdict: 'ok', rows: { 'Clona_ERP.ORDERS': 3 } });
    expect(await world.one('SELECT COUNT(*) FROM "Clona_ERP".orders')).toBe('3');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
