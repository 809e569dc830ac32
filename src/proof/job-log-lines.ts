/**
 * Recognises lines of job logs by their form, so that the language of the tool matters as little as possible:
 * codes, quoted names, the name of the job and clock times stay the same in all of them. Words are used only
 * where the form is not enough (closing lines of exp, imp and RMAN).
 */

const codePattern = /^((?:ORA|EXP|IMP|RMAN|UDE|UDI|LRM|KUP|TNS|PLS|OSD|PCC)-)(\d{1,5})(?!\d)/;

/** LOGTIME stamps (12-MAR-24 08:58:32.123: , 2024-03-12 08:58:32: ), and the worker's mark of METRICS (W-1). */
const stampPattern =
  /^\s{0,8}(?=\S{0,20}\d)\S{1,30}?[ T]{1,3}\d{1,2}[:.]\d{2}[:.]\d{2}(?:[.,]\d+)?(?: ?[AP]M)?(?: ?[+-]\d{2}:?\d{2})? ?: ?/;
const workerPattern = /^W-\d+ +/;

/** Takes timestamp and worker's mark off a line. */
export function stripPrefix(line: string): string {
  return line.replace(stampPattern, '').replace(workerPattern, '');
}

/** The code at the beginning of a line, with five digits: ORA-31693. Codes inside a line explain, they do not report. */
export function findCode(line: string): string | null {
  const match = codePattern.exec(line.trimStart());
  return match === null ? null : `${match[1]}${(match[2] ?? '').padStart(5, '0')}`;
}

export interface RowLine {
  table: string;
  partition: string;
  rows: number;
  /** Rows the tool says it did not load ("9 out of 10 rows"). */
  rejected: number;
}

const pumpName = /"([^"]+)"\."([^"]+)"((?::?\.?"[^"]+")*)/;
const sizePattern =
  /^[^\d]*[\d.,\u00a0']*\d\s*(?:bytes?|octets?|[kmgtp]i?b|[kmgtp]o|[кмгт]б|б|b|バイト|字节|位元組|바이트)(?![a-zа-я])/i;
const methodPattern = /(?:direct_path|external_table|conventional(?:_path)?|insert_as_select|automatic)\b/i;
const secondsPattern = /^\s*(?:s\b|se[ckg]|sek|秒|초|сек|saniye|vteřin|másodperc)/i;

/** `. . exported "HR"."EMP":"P1"  17,08 KB  107 rows`, in any language; null for every other line. */
export function parsePumpRow(line: string): RowLine | null {
  if (!/^\s*\.\s+\.\s/.test(line)) return null;
  const name = pumpName.exec(line);
  if (name === null) return null;
  let rest = line.slice(name.index + name[0].length).replace(sizePattern, ' ');
  rest = rest.replaceAll(/(\d)[.,'\u00a0](?=\d{3}(?!\d))/g, '$1');
  const method = methodPattern.exec(rest);
  if (method !== null) rest = rest.slice(0, method.index);
  const counts: number[] = [];
  let timed = method === null;
  for (const match of rest.matchAll(/\d+/g)) {
    if (counts.length > 0 && secondsPattern.test(rest.slice(match.index + match[0].length))) {
      timed = true;
      break;
    }
    counts.push(Number(match[0]));
  }
  // With METRICS the seconds stand before the method, in a language whose word for them we do not know.
  if (!timed && counts.length > 1) counts.pop();
  const [first, second] = counts;
  if (first === undefined) return null;
  const total = second === undefined ? first : Math.max(first, second);
  const rows = second === undefined ? first : Math.min(first, second);
  return { table: `${name[1]}.${name[2]}`, partition: name[3] ?? '', rows, rejected: total - rows };
}

export interface OriginalRow {
  /** The words before the name: they tell a table from a partition in any language. */
  words: string;
  name: string;
  partition: string;
  rows: number | null;
}

/** `. . exporting table   EMP   14 rows exported`; rows is null where the count is not on the line. */
export function parseOriginalRow(line: string): OriginalRow | null {
  const body = /^\s*\.\s\.\s*(.*)$/.exec(line)?.[1];
  if (body === undefined) return null;
  const counted = /^(.*?)\s(\d+)\s*([^\s\d][^\d]*)$/u.exec(body);
  const head = (counted === null ? body : (counted[1] ?? '')).trimEnd();
  const rows = counted === null ? null : Number(counted[2]);
  const quoted = /"([^"]+)"(?::"([^"]+)")?/.exec(head);
  if (quoted !== null) {
    const words = head.slice(0, quoted.index).trim();
    return { words, name: quoted[1] ?? '', partition: quoted[2] ?? '', rows };
  }
  const pieces = head.split(/\s{2,}/);
  const last = pieces.length > 1 ? (pieces.at(-1) ?? '') : (head.split(/\s+/).at(-1) ?? '');
  const name = withoutGlue(last);
  return { words: head.slice(0, head.length - last.length).trim(), name, partition: '', rows };
}

/** Some languages write the verb right behind the name (EMP导出了, EMPをエクスポート中です, EMP(를)을 …). */
function withoutGlue(text: string): string {
  const known =
    /^(.+?)(?:导出了|导入了|匯出了|匯入了|已导出|已匯出|を(?:エクスポート|インポート).*|\([를을이가]\).*)$/u.exec(
      text,
    );
  if (known?.[1] !== undefined) return known[1];
  const plain = /^([A-Z][A-Z0-9_$#]*)(?:\s+\p{Ll}.*|[^\u0020-\u024f].*)$/u.exec(text);
  return plain?.[1] ?? text;
}

const schemaForms = [
  /about to export (.+?)'s tables/i,
  /user changed to (\S+)/i,
  /objects into (.+?)\s*$/i,
] as const;

/** The schema that the following tables of exp or imp belong to, where the line names one. */
export function findSchema(line: string): string | null {
  for (const form of schemaForms) {
    const match = form.exec(line);
    if (match?.[1] !== undefined) return match[1].replaceAll('"', '');
  }
  const isSection =
    /^\s*\.\s(?!\.)/.test(line) ||
    /用户|ユーザー|사용자|benutzer|utilisateur|usuario|usuário|utente/i.test(line);
  if (!isSection || /^\s*\.\s(?:exporting|importing)\b/i.test(line)) return null;
  const names = line
    .match(/(?<![A-Za-z0-9_$#:.])[A-Z][A-Z0-9_$#]+(?![A-Za-z0-9_$#])/g)
    ?.filter((word) => word !== 'PUBLIC');
  return names?.at(-1) ?? null;
}

export interface JobLine {
  kind: 'start' | 'stop' | 'close' | 'reopen';
  job: string;
  saysErrors: boolean;
}

const stopWords =
  /stopp|gestopt|angehalten|abgebrochen|arr.{1,2}t|interrom|interrump|parado|deten|arrest|остановл|прерван|停止|中断|终止|정지|중지|durdur|zatrzym|zastaven|leáll|fatal|schwerwiegend|致命|심각|фатальн/i;
const reopenWords =
  /reopened|wieder ge.{1,2}ffnet|rouvert|reabiert|reaberto|riaperto|再オープン|重新打开|重新開啟|재개/i;

/**
 * The lines that name the job: `Starting "S"."J":  user/******** …` and `Job "S"."J" successfully completed at …`.
 * In a start line a colon follows the name before any digit, a closing line carries a clock time.
 */
export function parseJobLine(line: string, job: string | null): JobLine | null {
  const name = /"[^"]+"\."[^"]+"/.exec(line);
  if (name === null || /^\s*\.\s/.test(line) || findCode(line) !== null) return null;
  const tail = line.slice(name.index + name[0].length);
  if (
    /^[^\d:："]*[:：](?:\s|$)/.test(tail) &&
    (/\*{4,}|\s\w+=/.test(tail) ||
      // A job of DBMS_DATAPUMP has any name and no command line behind it.
      /^\s*[:：]\s*$/.test(tail) ||
      /SYS_(?:EXPORT|IMPORT|SQL_FILE)_/.test(name[0]))
  ) {
    return { kind: 'start', job: name[0], saysErrors: false };
  }
  if (!/\d{1,2}[:.]\d{2}[:.]\d{2}/.test(line)) return null;
  if (job !== null ? job !== name[0] : !/SYS_(?:EXPORT|IMPORT|SQL_FILE)_|\bjob\b/i.test(line)) return null;
  if (reopenWords.test(line)) return { kind: 'reopen', job: name[0], saysErrors: false };
  if (stopWords.test(tail) || stopWords.test(line.slice(0, name.index)))
    return { kind: 'stop', job: name[0], saysErrors: false };
  const beforeTime = tail.split(/\d{1,2}[:.]\d{2}[:.]\d{2}/)[0] ?? '';
  const count =
    /(?<![\d:])([1-9]\d*)\s*(?:error|fehler|erreur|erro|エラー|个错误|個錯誤|件の|개의?|ошиб|fel|hata|chyb|b[łl][ęe]d|fout)/i.exec(
      beforeTime,
    );
  return { kind: 'close', job: name[0], saysErrors: count !== null };
}

const transfer =
  /export|import|esport|экспорт|импорт|エクスポート|インポート|导出|导入|匯出|匯入|엑스포트|임포트|eksport|izvoz|uvoz/i;
const ended =
  /terminat|beendet|abgeschlossen|beëindigd|voltooid|termin[éeaoó\ufffd]|finaliz|conclu|encerrad|complet|avslut|afslut|fullf|zako[ńn]cz|ukon[čc]|dokon[čc]|befejez|tamamland|sona er|заверш|законч|終了|完了|终止|終止|結束|结束|完成|종료|끝났|완료/i;
const failedWords =
  /unsuccess|nicht erfolgreich|ohne erfolg|sans succ|sin .xito|no .*correctamente|sem .xito|senza successo|未成功|失败|失敗|실패|неуспешн|неудач/i;
const warningWords =
  /warning|warnung|avertissement|advertencia|avvertenz|avvertiment|advert.ncia|警告|경고|предупрежд|varning|advarsel|waarschuwing|ostrze|varov|uyar/i;
const noneWords =
  /without|ohne|sans|\bsin\b|senza|\bsem\b|没有|沒有|無し|なし|なく|없이|без|utan|uden|uten|zonder|bez\b|\bno\b/i;

/** Closing line of exp or imp: one sentence without a digit. */
export function parseOriginalClosing(line: string): { failed: boolean; saysWarnings: boolean } | null {
  if (line.length > 160 || /[\d:"]/.test(line) || /^\s*\./.test(line) || /\.\.\.\s*$/.test(line)) return null;
  if (!transfer.test(line) || !ended.test(line)) return null;
  return { failed: failedWords.test(line), saysWarnings: warningWords.test(line) && !noneWords.test(line) };
}

/** A last line that looks like a closing sentence in a language we have no words for. */
export function looksLikeClosing(line: string): boolean {
  return (
    line.length <= 120 && /^[^\s.\d"'(:]([^\d:"()]){13,}[.。．]\s*$/u.test(line) && !/\.\.\.\s*$/.test(line)
  );
}

const recoveryManager =
  /recovery manager|恢复管理器|復原管理員|リカバリ・?マネージャ|복구 관리자|gestionnaire de r.{1,2}cup.{1,2}ration|gestor de recuperaci|gestione recupero|gerenciador de recupera|(?:диспетчер|менеджер) восстановления/i;

/** `Recovery Manager complete.` in any language: it names the tool and, unlike the banner, has no colon and no digit. */
export function isRmanClosing(line: string): boolean {
  return line.length < 120 && recoveryManager.test(line) && !/[\d:]/.test(line);
}
