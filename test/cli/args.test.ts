import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HELP, parseCommand } from '../../src/cli/args.ts';

describe('the command line', () => {
  it.each([
    [['serve'], { name: 'serve', config: undefined }],
    [['serve', '--config', 'a.yaml'], { name: 'serve', config: 'a.yaml' }],
    [['-c', 'a.yaml', 'serve'], { name: 'serve', config: 'a.yaml' }],
    [['check-config', '--config=a.yaml'], { name: 'check-config', config: 'a.yaml' }],
    [['--help'], { name: 'help' }],
    [['serve', '-h'], { name: 'help' }],
    [['--version'], { name: 'version' }],
    [['ca', 'export', 'x.crt'], { name: 'ca', config: undefined, rest: ['export', 'x.crt'] }],
    [['ca', '--print-fingerprint', '-c', 'a'], { name: 'ca', config: 'a', rest: ['--print-fingerprint'] }],
    [['--config', 'ca', 'rules', 'test', '--config=b'], { name: 'rules', config: 'b', rest: ['test'] }],
    [['upstreams'], { name: 'upstreams', config: undefined, rest: [] }],
  ])('reads %j', (words, command) => {
    expect(parseCommand(words)).toEqual(command);
  });

  it.each([
    [[], 'a command is missing'],
    [['--config', 'a'], 'a command is missing'],
    [['srve'], 'unknown command "srve"'],
    [['serve', 'now'], 'serve takes no further words'],
    [['serve', '--config'], "Option '-c, --config <value>' argument missing"],
    [['serve', '--config='], '--config needs the name of a file'],
    [['ca', '--config'], '--config needs the name of a file'],
    [['serve', '--port', '1'], "Unknown option '--port'"],
    [['serve', '--help=1'], "Option '-h, --help' does not take an argument"],
  ])('explains what is wrong with %j', (words, reason) => {
    expect(parseCommand(words)).toEqual({ name: 'usage-error', text: `crawlgate: ${reason}\nTry: crawlgate --help` });
  });

  it('never throws', () => {
    const word = fc.oneof(fc.string(), fc.constantFrom('serve', 'ca', '--config', '-c', '--', '-', '--help', '-vh'));
    fc.assert(
      fc.property(fc.array(word, { maxLength: 5 }), (words) => {
        expect(parseCommand(words).name).toMatch(/^[a-z-]+$/);
      }),
    );
  });

  it('has a help text that names every command', () => {
    for (const name of ['serve', 'check-config', 'ca', 'rules']) expect(HELP).toMatch(new RegExp(`^  ${name} `, 'm'));
  });
});
