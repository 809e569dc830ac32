import { writeFileSync } from 'node:fs';
import type { Instance } from '../instance/instance.ts';
import { pumpOf, type PumpJob } from './state.ts';

/** The lines of one job, as its log file has them. */
export class PumpLog {
  readonly lines: string[] = [];
  readonly #instance: Instance;
  readonly #path: string | null;

  constructor(instance: Instance, job: PumpJob, path: string | null) {
    this.#instance = instance;
    this.#path = path;
    const { version, edition } = instance.settings;
    const what = job.operation === 'IMPORT' ? 'Import' : 'Export';
    const name = edition === 'EE' ? 'Enterprise Edition' : 'Standard Edition 2';
    this.lines.push(
      ';;; ',
      `${what}: Release ${version[0]}.0.0.0.0 - Production on ${this.#time()}`,
      `Version ${version.join('.')}.0.0`,
      '',
      'Copyright (c) 1982, 2019, Oracle and/or its affiliates.  All rights reserved.',
      ';;; ',
      `Connected to: Oracle Database ${version[0]}c ${name} Release ${version[0]}.0.0.0.0 - Production`,
    );
  }

  #time(): string {
    const text = new Date(this.#instance.settings.now()).toUTCString();
    const [day = '', date = '', month = '', year = '', clock = ''] = text.split(/,? /);
    return `${day} ${month} ${date.replace(/^0/, ' ')} ${clock} ${year}`;
  }

  add(...lines: string[]): void {
    this.lines.push(...lines);
  }

  row(verb: 'imported' | 'exported', owner: string, table: string, rows: number, of = rows): void {
    const name = `"${owner}"."${table}"`.padEnd(50);
    this.lines.push(
      `. . ${verb} ${name} ${(rows * 0.1 + 5).toFixed(2)} KB ${of === rows ? String(rows).padStart(7) : `${String(rows).padStart(7)} out of ${of}`} rows`,
    );
  }

  close({ name, owner, errors }: PumpJob, state: 'COMPLETED' | 'NOT RUNNING'): void {
    const job = `Job "${owner}"."${name}"`;
    const at = `at ${this.#time()} elapsed 0 00:00:01`;
    if (state === 'NOT RUNNING') this.add(`${job} stopped due to fatal error ${at}`);
    else if (errors > 0) this.add(`${job} completed with ${errors} error(s) ${at}`);
    else this.add(`${job} successfully completed ${at}`);
  }

  write(): string {
    const { cutLogAfter } = pumpOf(this.#instance).faults;
    const text = `${this.lines.slice(0, cutLogAfter).join('\n')}\n`;
    if (this.#path !== null) writeFileSync(this.#path, text);
    return text;
  }
}
