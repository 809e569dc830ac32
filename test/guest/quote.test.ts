import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { array, assert, property, string } from 'fast-check';
import { quoteSh, shCommand, shEnvironment, shScript } from '../../src/guest/quote.ts';

const word = string({ unit: 'binary', maxLength: 40 }).filter(
  (text) => !text.includes('\0') && text.isWellFormed(),
);

describe('quoting for sh', () => {
  test('plain words stay readable', () => {
    expect(shScript(['pg_ctl', '-D', '/data/pg', 'start'])).toBe('exec pg_ctl -D /data/pg start');
  });

  test('everything else is literal', () => {
    expect(quoteSh('')).toBe("''");
    expect(quoteSh("it's")).toBe(`'it'\\''s'`);
    expect(quoteSh('$(id)')).toBe("'$(id)'");
  });

  test('sh itself reads any words back', () => {
    assert(
      property(array(word, { minLength: 1, maxLength: 20 }), (words) => {
        const script = `printf '%s\\0' ${words.map(quoteSh).join(' ')}`;
        const read = execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' });
        expect(read).toBe(words.map((text) => `${text}\0`).join(''));
      }),
      { numRuns: 40 },
    );
  });

  test('a NUL is refused', () => {
    expect(() => quoteSh('a\0b')).toThrow('NUL');
  });

  test('no command is refused', () => {
    expect(() => shScript([])).toThrow('no command');
  });

  test('the frame changes folder, names its group, and never names a value', () => {
    expect(shCommand('true', { cwd: '/a b', groupMark: 'mark:' })).toBe(
      `exec /bin/sh -c 'echo mark:$$ >&2\ncd -- '\\''/a b'\\'' || exit 126\ntrue'`,
    );
    const { text, lines } = shEnvironment({ PASSWORD: "a\nb'c" });
    expect(lines).toBe(2);
    expect(text).toBe(`export PASSWORD='a\nb'\\''c'\n`);
    expect(shCommand('true', { envLines: lines })).not.toContain('PASSWORD');
  });

  test('a name that is no name for a variable is refused', () => {
    expect(() => shEnvironment({ 'A;id': '1' })).toThrow('no name');
  });
});
