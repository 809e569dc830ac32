import { describe, expect, test } from 'vitest';
import { layHistory, type Lane, type Stretch } from '../../../src/recovery/picture/layout.ts';
import { drawLane } from '../../../src/recovery/picture/svg-lane.ts';
import type { Draw } from '../../../src/recovery/picture/svg-parts.ts';
import { asPosition } from '../../../src/recovery/position.ts';
import { bk, catalogOf } from '../build.ts';

describe('one lane, ten positions a pixel', () => {
  const at = (position: number) => asPosition(BigInt(position));
  const stretches = (...pairs: [number, number][]): Stretch[] =>
    pairs.map(([from, to]) => ({ from: at(from), to: at(to) }));
  const linear: Draw = {
    x: (position) => Number(position) / 10,
    row: new Map([[1, 100]]),
    show: String,
    extras: {},
    bottom: 200,
  };
  const drawn = (lane: Partial<Lane>): string => {
    const [empty] = layHistory(catalogOf({}), {}).lanes;
    return drawLane({ ...empty!, ...lane }, linear).join('\n'); // one incarnation, one lane
  };
  const heldOf = (...pairs: [number, number][]): string[] =>
    [
      ...drawn({ threads: [{ thread: 1, held: stretches(...pairs), gaps: [] }] }).matchAll(
        /class="held[^>]*/g,
      ),
    ].map(([text]) => /x1="([^"]*)".*x2="([^"]*)"/.exec(text)!.slice(1, 3).join(' to '));

  test.for<[string, [number, number][], string[]]>([
    [
      'far apart',
      [
        [0, 100],
        [200, 300],
      ],
      ['0 to 10', '20 to 30'],
    ],
    [
      'too near to be told apart',
      [
        [1000, 1001],
        [1003, 1004],
        [1006, 1007],
      ],
      ['100 to 100.7'],
    ],
    [
      'near, with a gap to be seen',
      [
        [0, 1],
        [4, 5],
      ],
      ['0 to 0.1', '0.4 to 0.5'],
    ],
    [
      'near, and together a pixel wide',
      [
        [0, 5],
        [6, 10],
      ],
      ['0 to 0.5', '0.6 to 1'],
    ],
    [
      'near, and together not a pixel wide',
      [
        [0, 5],
        [6, 9],
      ],
      ['0 to 0.9'],
    ],
  ])('stretches %s', ([, pairs, lines]) => {
    expect(heldOf(...pairs)).toEqual(lines);
  });

  test('a gap is never narrower than two pixels', () => {
    const gap = drawn({ threads: [{ thread: 1, held: [], gaps: stretches([100, 101]) }] });
    expect(gap).toContain('class="gap" x1="10" y1="100" x2="12"');
  });

  test('labels that touch are written on two lines, long ones not at all', () => {
    const ten = 'x'.repeat(10);
    const svg = drawn({
      backups: [
        bk(`${ten}a`.slice(1), 1000),
        bk(`${ten}b`.slice(1), 1680),
        bk(`${ten}c`.slice(1), 2360),
        bk('y'.repeat(24), 4000),
        bk('z'.repeat(25), 6000),
      ],
    });
    const lines = [...svg.matchAll(/y="([\d.]+)" text-anchor="middle">(\w+)</g)].map(
      ([, y, label]) => `${label?.at(-1)} ${label?.length} ${y}`,
    );
    expect(lines).toEqual(['a 10 83', 'b 10 72', 'c 10 83', 'y 24 83']);
    expect(svg).toContain('<title>zzzzzzzzzzzzzzzzzzzzzzzzz: managed');
  });

  test.for([
    ['managed', '<circle class="backup" cx="100" cy="91" r="5"/>'],
    ['hot', '<path class="backup" d="M100 85 l6 11 h-12 z"/>'],
    ['quiesced', '<rect class="backup" x="95" y="86" width="10" height="10"/>'],
    ['cold', '<rect class="backup" x="95" y="86" width="10" height="10"/>'],
    ['export', '<path class="backup" d="M100 85 l6 6 l-6 6 l-6 -6 z"/>'],
  ] as const)('a %s backup has its symbol', ([kind, symbol]) => {
    expect(drawn({ backups: [bk('B', 1000, 1000, { kind })] })).toContain(symbol);
  });
});
