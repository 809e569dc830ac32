// Opens the control database of the folder given, says so, and stays until its standard input ends.
import { openControl } from '../../src/control/control.ts';
import { acquireSiteLock } from '../../src/control/lock.ts';

const [directory = '', what = ''] = process.argv.slice(2);
const signal = new AbortController().signal;
{
  await using control = await openControl({ site: 'erp', directory, signal });
  await using _lock =
    what === '' ? undefined : await acquireSiteLock(control, { who: 'dora', what }, new Date());
  process.stdout.write('open\n');
  process.stdin.resume();
  await new Promise((resolve) => process.stdin.once('end', resolve));
}
