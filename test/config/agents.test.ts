import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BUILT_IN_AGENTS_FILE, type LoadedAgents, loadAgents } from '../../src/config/agents.ts';
import type { AgentList, Agents } from '../../src/model/agents.ts';
import { BUILT_IN_AGENTS } from '../support/agents.ts';
import { scratchFolder } from './support.ts';

const cwd = scratchFolder();

const load = (text: string | Uint8Array): LoadedAgents => {
  writeFileSync(join(cwd, 'ua.yaml'), text);
  return loadAgents('ua.yaml', cwd);
};

const agentsOf = (text: string): Agents => {
  const { agents, errors } = load(text);
  if (!agents) throw new Error(errors.join('\n'));
  return agents;
};

const CHROME = (version: string | number): string =>
  `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version}.0.0.0 Safari/537.36`;
const PHONE = `Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.6 Mobile/15E148 Safari/604.1`;
const TEMPLATE = CHROME('{version}');

const weights = ({ agents }: AgentList): (readonly [string, number])[] =>
  agents.map(({ userAgent, weight }) => [userAgent, weight]);

describe('lists of user agents', () => {
  it('G-05 are those of the shipped file when none is named', () => {
    expect(loadAgents(undefined, cwd).agents).toEqual(BUILT_IN_AGENTS);
    copyFileSync(BUILT_IN_AGENTS_FILE, join(cwd, 'copy.yaml'));
    expect(loadAgents('copy.yaml', cwd).agents).toEqual(BUILT_IN_AGENTS);
  });

  it('G-05 a template stands for its versions, each with its share of the weight', () => {
    const { desktop } = agentsOf(`desktop:\n  - { userAgent: "${TEMPLATE}", versions: "157=60 156=20", weight: 4 }\n`);
    expect(weights(desktop)).toEqual([
      [CHROME(157), 3],
      [CHROME(156), 1],
    ]);
    expect(desktop.ends).toEqual([3, 4]);
    expect(desktop.agents[1]).toMatchObject({ family: 'chrome', major: 156, platform: 'Linux', mobile: false });
  });

  it('takes a version as text, so that 26.10 is not 26.1', () => {
    const safari = PHONE.replace('26.6', '{version}');
    const { mobile } = agentsOf(`mobile:\n  - { userAgent: "${safari}", versions: 26.10=1 }\n`);
    expect(mobile.agents[0]?.userAgent).toContain('Version/26.10 ');
  });

  it('G-05 a plain list of strings, with weights or without, is sorted by what they are', () => {
    const { desktop, mobile } = agentsOf(
      `- "${CHROME(156)}"\n- "${PHONE}"\n- { userAgent: "${CHROME(157)}", weight: 2.5 }\n`,
    );
    expect(weights(desktop)).toEqual([
      [CHROME(156), 1],
      [CHROME(157), 2.5],
    ]);
    expect(weights(mobile)).toEqual([[PHONE, 1]]);
  });

  it.each([
    ['desktop', `desktop: ["${CHROME(156)}"]\n`],
    ['desktop', `- "${CHROME(156)}"\n`],
  ])('leaves the built-in list in place that the file does not have', (_kind, text) => {
    const { desktop, mobile } = agentsOf(text);
    expect(desktop.agents).toHaveLength(1);
    expect(mobile).toEqual(BUILT_IN_AGENTS.mobile);
  });
});

const KNOWN = 'userAgent, versions, weight';
const BROWSER = 'expected the whole user agent of Chrome, Edge, Firefox or Safari: the headers of others are not known';
const ASCII = 'expected a user agent: 1 to 512 ASCII characters on one line';
const SHARES = 'expected a text such as "157=60 156=40": versions with their shares';
const WEIGHT = 'expected a number above 0, at most 1000000';
const TOGETHER = '{version} in the user agent and the key versions go together';

describe('mistakes in lists of user agents', () => {
  it('are told all at once, each with its line and path, and nothing is loaded', () => {
    const text = [
      'desktop:',
      '  - curl/8',
      `  - { userAgent: "${CHROME(1)}", weight: 0 }`,
      `  - userAgent: ${PHONE}`,
      `    weigth: 2`,
      'tablet: []',
      'mobile: none',
    ].join('\n');
    expect(load(text)).toEqual({
      agents: undefined,
      errors: [
        `ua.yaml:2: desktop[0]: ${BROWSER}`,
        `ua.yaml:3: desktop[1].weight: ${WEIGHT}`,
        `ua.yaml:5: desktop[2].weigth: unknown key (known here: ${KNOWN})`,
        'ua.yaml:6: tablet: unknown key (known here: desktop, mobile)',
        'ua.yaml:7: mobile: expected a list of 1 to 10000 user agents',
      ],
    });
  });

  it.each([
    ['a phone among desktops', `desktop: ["${PHONE}"]`, '1: desktop[0]: this browser is not a desktop one'],
    ['a desktop among phones', `mobile: ["${CHROME(1)}"]`, '1: mobile[0]: this browser is not a mobile one'],
    ['an empty list', 'desktop: []', '1: desktop: expected a list of 1 to 10000 user agents'],
    ['an empty file', '', ' expected lists under desktop and mobile'],
    ['a bare text', 'just text', '1: expected a list of 1 to 10000 user agents'],
    ['an entry that is no text', 'desktop: [7]', `1: desktop[0]: expected a user agent, or a mapping of ${KNOWN}`],
    ['no user agent', 'desktop: [{ weight: 1 }]', `1: desktop[0]: ${ASCII}`],
    ['a user agent of two lines', 'desktop: [{ userAgent: "a\\nb" }]', `1: desktop[0].userAgent: ${ASCII}`],
    ['letters beyond ASCII', 'desktop: ["Mözilla"]', `1: desktop[0]: ${ASCII}`],
    ['an endless user agent', `desktop: ["${'a'.repeat(513)}"]`, `1: desktop[0]: ${ASCII}`],
    ['a weight that is text', `- { userAgent: "${CHROME(1)}", weight: "1" }`, `1: [0].weight: ${WEIGHT}`],
    ['no weight at all', `- { userAgent: "${CHROME(1)}", weight: .nan }`, `1: [0].weight: ${WEIGHT}`],
    ['an infinite weight', `- { userAgent: "${CHROME(1)}", weight: .inf }`, `1: [0].weight: ${WEIGHT}`],
    ['a bare version', `- { userAgent: "${TEMPLATE}", versions: 157 }`, `1: [0].versions: ${SHARES}`],
    ['a version without share', `- { userAgent: "${TEMPLATE}", versions: 157=1 156 }`, `1: [0].versions: ${SHARES}`],
    ['a share of nothing', `- { userAgent: "${TEMPLATE}", versions: 157=0 }`, `1: [0].versions: ${SHARES}`],
    ['no versions', `- { userAgent: "${TEMPLATE}", versions: "" }`, `1: [0].versions: ${SHARES}`],
    ['a template without versions', `- "${TEMPLATE}"`, `1: [0]: ${TOGETHER}`],
    ['versions of no template', `- { userAgent: "${CHROME(1)}", versions: 157=1 }`, `1: [0]: ${TOGETHER}`],
    [
      'too many versions',
      `- { userAgent: "${TEMPLATE}", versions: ${Array.from({ length: 21 }, (_, i) => `${i}=1`).join(' ')} }`,
      '1: [0].versions: expected at most 20 versions',
    ],
  ])('name %s', (_what, text, expected) => {
    expect(load(text).errors).toEqual([`ua.yaml:${expected}`]);
  });

  it('are cut short when there are very many', () => {
    const { errors } = load(`desktop: [${'x, '.repeat(60)}]`);
    expect([errors?.length, errors?.at(-1)]).toEqual([51, 'and 10 more']);
  });

  it('name a file that is missing, no file, no YAML or no text', () => {
    mkdirSync(join(cwd, 'folder'));
    expect(loadAgents('none.yaml', cwd).errors).toEqual(['none.yaml: there is no such file']);
    expect(loadAgents('folder', cwd).errors).toEqual(['folder: the file cannot be read (EISDIR)']);
    expect(load('desktop: [').errors?.[0]).toMatch(/^ua\.yaml:1: /);
    expect(load(Uint8Array.of(0xff, 0xfe, 0x41)).errors).toEqual(['ua.yaml: the file is not UTF-8 text']);
  });
});
