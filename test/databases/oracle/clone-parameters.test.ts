import { expect, test } from 'vitest';
import { decideParameters, parseParameterFile } from '../../../src/databases/oracle/clone-parameters.ts';

const GiB = 2 ** 30;
const decideOne = (name: string, value: string, machineBytes: number | null = null) =>
  decideParameters(new Map([[name, value]]), { machineBytes })[0];

test.each([
  ['local_listener', "'(ADDRESS=(PROTOCOL=TCP)(HOST=erpdb)(PORT=1521))'", /listener/],
  ['dispatchers', "'(PROTOCOL=TCP) (SERVICE=ERPXDB)'", /listen at addresses/],
  ['service_names', "'ERP','ERPWEB'", /services/],
  ['log_archive_dest_2', "'SERVICE=ERPSTBY ASYNC'", /archive/],
  ['log_archive_dest_state_2', 'enable', /archive/],
  ['log_archive_min_succeed_dest', '2', /archive/],
  ['fal_server', "'ERPSTBY'", /standby/],
  ['dg_broker_config_file1', "'+DATA/ERP/dr1.dat'", /standby/],
  ['cluster_database', 'TRUE', /cluster/],
  ['thread', '2', /cluster/],
  ['instance_number', '2', /cluster/],
  ['db_file_name_convert', "'/a','/b'", /standby/],
  ['audit_file_dest', "'/u01/app/oracle/admin/ERP/adump'", /disks/],
  ['diagnostic_dest', "'/u01/app/oracle'", /disks/],
  ['smtp_out_server', "'mail.example'", /mail/],
  ['wallet_root', "'/etc/oracle/wallets/ERP'", /keystore/],
  ['use_large_pages', "'ONLY'", /memory/],
  ['cpu_count', '32', /processors/],
  ['__db_cache_size', '1073741824', /tuned/],
  ['some_parameter_of_24c', "'https://erp.example/api'", /address/],
])('%s is left out, and it is said why', (name, value, reason) => {
  expect(decideOne(name, value)).toMatchObject({
    value: null,
    verdict: 'left out',
    reason: expect.stringMatching(reason),
  });
});

test.each([
  ['db_block_size', '16384', /blocks of SYSTEM/],
  ['undo_tablespace', "'UNDOTBS1'", /rolled back/],
  ['db_files', '4000', /control file/],
  ['nls_date_format', "'YYYY-MM-DD HH24:MI:SS'", /sort/],
  ['processes', '1500', /application/],
  ['plsql_ccflags', "'debug:TRUE'", /compiled/],
  ['optimizer_features_enable', "'19.1.0'", /as in production/],
  ['_fix_control', "'5483301:OFF'", /by hand/],
  ['sga_target', '8G', /enough/],
])('%s is carried over', (name, value, reason) => {
  expect(decideOne(name, value)).toMatchObject({
    value,
    verdict: 'carried',
    reason: expect.stringMatching(reason),
  });
});

test.each(['db_name', 'compatible', 'control_files', 'job_queue_processes', 'open_links'])(
  '%s is the clone’s own, whatever production has',
  (name) => {
    expect(decideOne(name, '1')).toBeUndefined();
  },
);

test('memory is held to the machine: together no more than 70 % of it, in granules', () => {
  const production = new Map([
    ['sga_target', '96G'],
    ['sga_max_size', '128G'],
    ['pga_aggregate_target', '32G'],
    ['db_32k_cache_size', '1G'],
  ]);
  const decided = decideParameters(production, { machineBytes: 16 * GiB });
  const value = (name: string): string | null => decided.find((one) => one.name === name)?.value ?? null;
  const all = ['sga_target', 'pga_aggregate_target'].map((name) => Number(value(name)));
  expect(all[0]! + all[1]!).toBeLessThanOrEqual(16 * GiB * 0.7);
  expect(all.every((bytes) => bytes > 0 && bytes % (16 * 2 ** 20) === 0)).toBe(true);
  expect(value('sga_max_size')).toBeNull();
  // Blocks of 32 KiB cannot be read without a cache of their own.
  expect(Number(value('db_32k_cache_size'))).toBeGreaterThan(0);
});

test('memory that the site gives wins; a cache for blocks of another size stays', () => {
  const production = new Map([
    ['sga_target', '96G'],
    ['db_16k_cache_size', '64M'],
  ]);
  const decided = decideParameters(production, { machineBytes: null, memoryBytes: GiB });
  expect(decided.map(({ name, value }) => [name, value])).toEqual([
    ['db_16k_cache_size', '64M'],
    ['sga_target', null],
  ]);
});

test('a parameter file is read as CREATE PFILE writes it, a cluster as its first instance', () => {
  const text = `ERP2.__db_cache_size=1
# a comment = nothing
*.db_block_size=8192
ERP2.undo_tablespace='UNDOTBS2'
ERP1.undo_tablespace='UNDOTBS1'
*.control_files='+DATA/ERP/c1.ctl',
'+FRA/ERP/c2.ctl'
*.processes=300
ERP1.processes=100
`;
  expect(Object.fromEntries(parseParameterFile(text))).toEqual({
    __db_cache_size: '1',
    db_block_size: '8192',
    undo_tablespace: "'UNDOTBS1'",
    control_files: "'+DATA/ERP/c1.ctl','+FRA/ERP/c2.ctl'",
    processes: '300',
  });
});
