import type { ConnectData } from './backend.ts';

/** `(DESCRIPTION=…(CONNECT_DATA=(SERVICE_NAME=erp)…))`: only what a listener decides by. */
export function parseConnectData(text: string): ConnectData {
  return {
    serviceName: valueOf(text, 'SERVICE_NAME'),
    sid: valueOf(text, 'SID'),
    evenRestricted: valueOf(text, 'UR')?.toUpperCase() === 'A',
  };
}

function valueOf(text: string, key: string): string | null {
  const found = new RegExp(String.raw`\(\s*${key}\s*=\s*([^()\s]*)\s*\)`, 'i').exec(text);
  return found?.[1] ?? null;
}
