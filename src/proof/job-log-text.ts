import { parseOriginalClosing } from './job-log-lines.ts';

/** Encodings that NLS_LANG or a console leaves a log in, after Unicode. */
const legacyEncodings = [
  'windows-1252',
  'shift_jis',
  'gb18030',
  'euc-kr',
  'big5',
  'euc-jp',
  'windows-1251',
  'windows-1250',
  'koi8-r',
] as const;

const knownWords =
  /Zeilen|lignes|filas|linhas|righe|строк|行がエクスポート|行がインポート|导出|导入|匯出|匯入|行$|エクスポート|インポート|엑스포트|임포트|작업|ジョブ|作业|задани|abgeschlossen|für|über|terminé|terminée|éxito|correctamente|êxito|concluíd|successo|wierszy|řádk|警告|正常|成功|完了|恢复管理器/giu;

/**
 * Finds the encoding of a log from samples of its bytes (its beginning and its end). Byte order marks win; then
 * UTF-16 by its zero bytes; then UTF-8 unless it does not fit; then the one whose words the tools write.
 */
export function findEncoding(samples: readonly Uint8Array[]): string {
  const head = samples[0] ?? new Uint8Array();
  if (head[0] === 0xff && head[1] === 0xfe) return 'utf-16le';
  if (head[0] === 0xfe && head[1] === 0xff) return 'utf-16be';
  const zeros = countZeros(head.subarray(0, 4096));
  if (zeros.odd > zeros.even * 4 && zeros.odd > 4) return 'utf-16le';
  if (zeros.even > zeros.odd * 4 && zeros.even > 4) return 'utf-16be';
  if (samples.every(fitsUtf8)) return 'utf-8';
  let best: { encoding: string; score: number } = { encoding: 'windows-1252', score: 0 };
  for (const encoding of legacyEncodings) {
    const score = samples
      .map((bytes) => scoreText(new TextDecoder(encoding).decode(bytes)))
      .reduce((a, b) => a + b, 0);
    if (score > best.score) best = { encoding, score };
  }
  return best.encoding;
}

/** The text of a job log in whatever encoding it was written. */
export function decodeJobLog(bytes: Uint8Array): string {
  return new TextDecoder(findEncoding([bytes.subarray(0, 262_144), bytes.subarray(-65_536)])).decode(bytes);
}

function countZeros(bytes: Uint8Array): { even: number; odd: number } {
  const count = { even: 0, odd: 0 };
  for (const [index, byte] of bytes.entries()) if (byte === 0) count[index % 2 === 0 ? 'even' : 'odd'] += 1;
  return count;
}

/** A sample may begin and end inside a character; other bytes that are not UTF-8 must be rare beside those that are. */
function fitsUtf8(bytes: Uint8Array): boolean {
  const text = new TextDecoder('utf-8').decode(bytes);
  const inner = text.slice(3, -3);
  const broken = inner.split('\ufffd').length - 1;
  if (broken === 0) return true;
  const good = inner.match(/[\u0080-\ufffc]/gu)?.length ?? 0;
  return good > broken * 4;
}

function scoreText(text: string): number {
  const broken = text.split('\ufffd').length - 1;
  const words = text.match(knownWords)?.length ?? 0;
  const closings = text
    .split('\n')
    .slice(-40)
    .filter((line) => parseOriginalClosing(line.trim()) !== null).length;
  return words + closings * 5 - broken * 2;
}
