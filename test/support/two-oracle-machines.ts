import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import oracledb from 'oracledb';
import { mounted } from '../oracle-sim/instance/physical/database.ts';
import type { ControlFile } from '../oracle-sim/instance/physical/types.ts';
import { installTools, type Tools } from '../oracle-sim/machine/tools.ts';
import { startOracleSim, type OracleSim } from '../oracle-sim/server.ts';
import { makeTestFolder } from './machine.ts';

export interface Ran {
  stdout: string;
  code: number;
}

/** A simulated production with its tools, and an empty machine beside it that sees the archive. */
export interface TwoMachines extends AsyncDisposable {
  folder: string;
  live: OracleSim;
  liveTools: Tools;
  clone: OracleSim;
  cloneTools: Tools;
  /** A clock that goes on by a second whenever somebody looks at it. */
  clock: { at: number };
  /** Production's control file. */
  control: () => ControlFile;
  run: (tools: Tools, tool: string, argv: string[], stdin?: string) => Promise<Ran>;
  rman: (tools: Tools, program: string) => Promise<Ran>;
  sqlPlus: (tools: Tools, script: string) => Promise<Ran>;
  insert: (id: number) => Promise<void>;
  /** The SCN from which on nothing is committed yet. */
  scnNow: () => Promise<string>;
  sum: (sim: OracleSim) => Promise<unknown>;
  /** Of the clone, with the name of the database in it. */
  parameterFile: (name?: string) => string;
  /** RMAN: an instance, the newest control file, what the archive holds. */
  mountProgram: () => string;
  /** RMAN: all files under names of the clone, recovered, opened. */
  restoreProgram: (until: string, before?: string) => string;
}

export async function openTwoMachines(): Promise<TwoMachines> {
  const folder = await makeTestFolder();
  const archive = join(folder, 'archive');
  const data = join(folder, 'clone', 'data');
  const clock = { at: Date.parse('2026-03-01T10:00:00Z') };
  const now = (): number => (clock.at += 1000);
  const recoveryArea = join(archive, 'fra');
  const live = await startOracleSim({
    instance: { now, storage: { folder: join(folder, 'live'), recoveryArea } },
  });
  const clone = await startOracleSim({
    instance: { now, storage: { folder: join(folder, 'clone'), create: false } },
  });
  const liveTools = await installTools(live.server, join(folder, 'live'));
  const cloneTools = await installTools(clone.server, join(folder, 'clone'));
  await using first = await oracledb.getConnection(live);
  await first.execute('CREATE TABLE orders (id NUMBER)');
  const control = (): ControlFile => mounted(live.instance.database!);
  const run: TwoMachines['run'] = ({ bin }, tool, argv, stdin = '') =>
    new Promise((resolve) => {
      const child = execFile(join(bin, tool), argv, { cwd: folder }, (error, stdout) => {
        resolve({ stdout, code: typeof error?.code === 'number' ? error.code : 0 });
      });
      child.stdin?.end(stdin);
    });
  const parameterFile = (name = 'ERP'): string => {
    mkdirSync(data, { recursive: true });
    const path = join(folder, 'clone', 'init.ora');
    const lines = [
      `db_name='${name}'`,
      `control_files='${data}/control01.ctl'`,
      `db_recovery_file_dest='${folder}/clone/fra'`,
      'db_recovery_file_dest_size=1000000',
    ];
    writeFileSync(path, lines.map((line) => `*.${line}\n`).join(''));
    return path;
  };
  return {
    folder,
    live,
    liveTools,
    clone,
    cloneTools,
    clock,
    control,
    run,
    rman(tools, program) {
      const path = join(folder, 'program.rman');
      writeFileSync(path, program);
      return run(tools, 'rman', ['TARGET', '/', 'NOCATALOG', `CMDFILE=${path}`]);
    },
    sqlPlus: (tools, script) => run(tools, 'sqlplus', ['-S', '-L', '/', 'AS', 'SYSDBA'], script),
    async insert(id) {
      await using connection = await oracledb.getConnection(live);
      await connection.execute('INSERT INTO orders VALUES (:1)', [id], { autoCommit: true });
    },
    async scnNow() {
      await using connection = await oracledb.getConnection(live);
      const { rows } = await connection.execute<[string]>('SELECT TO_CHAR(current_scn + 1) FROM v$database');
      return rows![0]![0];
    },
    async sum(sim) {
      await using connection = await oracledb.getConnection({
        ...sim,
        user: 'SYS',
        privilege: oracledb.SYSDBA,
      });
      const { rows } = await connection.execute<unknown[]>('SELECT SUM(id) FROM clona.orders');
      return rows?.[0]?.[0];
    },
    parameterFile,
    mountProgram: () => `SET DBID 1789012345;
STARTUP FORCE NOMOUNT PFILE='${parameterFile()}';
RESTORE CONTROLFILE FROM '${control().sets.findLast(({ controlFile }) => controlFile)!.handle}';
ALTER DATABASE MOUNT;
CONFIGURE ARCHIVELOG DELETION POLICY CLEAR;
CATALOG START WITH '${archive}' NOPROMPT;
LIST INCARNATION OF DATABASE;
`,
    restoreProgram: (until, before = '') => `${before}
${control()
  .groups.flatMap((group) => group.members)
  .map((member, index) => `ALTER DATABASE RENAME FILE '${member}' TO '${data}/redo${index}.log';`)
  .join('\n')}
RUN {
  ALLOCATE CHANNEL c1 DEVICE TYPE DISK;
  SET NEWNAME FOR DATABASE TO '${data}/file_%f.dbf';
  ${until}
  RESTORE DATABASE;
  SWITCH DATAFILE ALL;
  RECOVER DATABASE;
}
ALTER DATABASE OPEN RESETLOGS;
`,
    async [Symbol.asyncDispose]() {
      for (const one of [liveTools, cloneTools, live, clone]) await one[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
