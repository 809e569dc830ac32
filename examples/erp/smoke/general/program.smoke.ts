import { expect, test } from 'clona/smoke';

test('program, version file and database are of one version', async ({ sql, ssh, machine }) => {
  const said = await ssh([`${machine.systemDisk}/program/bin/erp`, 'version']);
  const file = await ssh(['cat', `${machine.systemDisk}/VERSION`]);
  const [setting] = await sql<{ value: string }>`SELECT value FROM erp.setting WHERE key = 'version'`;
  expect(said.stdout.trim()).toBe(setting?.value);
  expect(file.stdout.trim()).toBe(setting?.value);
});
