/** Names and values of postgresql.conf; a number is written as it is, with the unit PostgreSQL gives it. */
export type ServerSettings = Readonly<Record<string, string | number | boolean>>;

/** `-c name=value` pairs. No shell is involved, so nothing is quoted. */
export function settingArguments(settings: ServerSettings): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${settingText(value)}`]);
}

/** Lines of a configuration file, quoted as guc-file.l reads them. */
export function settingLines(settings: ServerSettings): string {
  return Object.entries(settings)
    .map(
      ([name, value]) => `${name} = '${settingText(value).replaceAll('\\', '\\\\').replaceAll("'", "''")}'\n`,
    )
    .join('');
}

function settingText(value: string | number | boolean): string {
  return typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value);
}
