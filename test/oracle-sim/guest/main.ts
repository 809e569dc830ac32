/**
 * The simulated Oracle software of one machine, started by its boot script: `node main.ts settings.json`. Writes `ready` into its
 * home when programs and listener answer.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startOracleMachine, type OracleMachineSettings } from './machine.ts';

const [, , path = ''] = process.argv;
const settings = JSON.parse(readFileSync(path, 'utf8')) as OracleMachineSettings;
await startOracleMachine(settings);
writeFileSync(join(settings.home, 'ready'), '');
