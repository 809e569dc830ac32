/** What RMAN says in text rather than in codes, and where its error stacks are. */
export class RmanFacts {
  #inStack = false;
  #table: 'files' | 'blocks' | null = null;
  /** The database was opened after the last complaint that a log is unknown (RMAN-06054). */
  openedAfterUnknownLog = false;

  /** Notes a code; true when it belongs to an error stack (RMAN-00569 … the next line without a code). */
  noteCode(code: string): boolean {
    if (code === 'RMAN-00569' || code === 'RMAN-00571') this.#inStack = true;
    if (code === 'RMAN-06054') this.openedAfterUnknownLog = false;
    return this.#inStack;
  }

  readLine(line: string): { verdict: 'failed' | 'warning'; meaning: string } | null {
    this.#inStack = false;
    if (/open\s+resetlogs|database opened/i.test(line)) this.openedAfterUnknownLog = true;
    if (/'EXPIRED'/.test(line))
      return { verdict: 'warning', meaning: 'a backup or log in the catalog is not on its device' };
    return this.#readValidation(line);
  }

  /** VALIDATE: a file may fail with 0 marked corrupt, and pass over blocks that NOLOGGING left unreadable. */
  #readValidation(line: string): { verdict: 'failed'; meaning: string } | null {
    // The rule of dashes under the headings is the same in every language: six columns of files, three of blocks.
    if (/^\s*-+(?: +-+){5}\s*$/.test(line)) this.#table = 'files';
    if (/^\s*-+(?: +-+){2}\s*$/.test(line)) this.#table = 'blocks';
    const file = /^\s*(\d+)\s+(\p{L}+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*$/u.exec(line);
    if (file !== null && this.#table === 'files') {
      if (file[2] !== 'OK') return { verdict: 'failed', meaning: `validation of file ${file[1]} failed` };
      if (Number(file[3]) > 0)
        return { verdict: 'failed', meaning: `${file[3]} blocks of file ${file[1]} are marked corrupt` };
      return null;
    }
    const blocks = /^\s*(\p{L}+)\s+(\d+)\s+(\d+)\s*$/u.exec(line);
    if (blocks !== null && this.#table === 'blocks' && Number(blocks[2]) > 0) {
      return {
        verdict: 'failed',
        meaning: `${blocks[2]} blocks (${blocks[1]?.toLowerCase()}) failed validation`,
      };
    }
    return null;
  }
}
