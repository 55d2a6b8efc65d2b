#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Compares our perf script text with stock perf's on the same recording.

    plugin-compare.py STOCK OURS BINARY

The two must be equal line by line, but for frames of BINARY (unstripped), where
these differences are known (docs/perf-plugin.md, "Where it differs"):

  abi0      perf shows the symbol table's ".abi0"
  types     Go 1.18 to 1.20 keep no type arguments in .gopclntab
  return    a call that ends its function: perf names the function behind it
            (proven by the symbol table: that one follows ours)

and where perf shows [unknown]:

  go        another Go program, without symbols
  first     perf's first look into a file, which it looks into before it has
            read where the file's segments lie (gone in perf 7)

Prints one line of counts; exit status 1 and the lines when anything else differs.
"""
import functools
import re
import subprocess
import sys

NAME = re.compile(r'^(?P<head>.*\s[0-9a-f]+ )(?P<name>\S.*?)(\+0x(?P<off>[0-9a-f]+))?(?P<tail> \(\S+\))?$')
UNKNOWN = re.compile(r'^(?P<head>.*\s[0-9a-f]+ )\[unknown\](?P<tail> \((?P<dso>\S+)\))$')


def symbols(binary):
    """(name -> address, address -> address of the next symbol)."""
    text = subprocess.run(['nm', binary], capture_output=True, text=True, check=True).stdout
    by_name = {}
    for line in text.splitlines():
        parts = line.split(' ', 2)
        if len(parts) == 3 and parts[1] in 'tTwW':
            by_name[parts[2]] = int(parts[0], 16)
    addresses = sorted(set(by_name.values()))
    return by_name, dict(zip(addresses, addresses[1:]))


def without_types(text):
    """The text with what stands between outermost brackets replaced by dots."""
    out, depth = '', 0
    for c in text:
        if c == '[':
            depth += 1
            if depth == 1:
                out += '[...'
        if depth == 0 or (c == ']' and depth == 1):
            out += c
        if c == ']':
            depth -= 1
    return out


@functools.lru_cache(None)
def is_go(path):
    """Whether a file has Go's table as a section."""
    text = subprocess.run(['readelf', '-SW', path], capture_output=True, text=True).stdout
    return 'gopclntab' in text


class Checker:
    def __init__(self, binary):
        self.by_name, self.following = symbols(binary)
        self.counts = dict.fromkeys(['equal', 'abi0', 'types', 'return', 'go', 'first'], 0)
        self.seen = set()

    def address(self, name):
        return self.by_name.get(name, self.by_name.get(name + '.abi0'))

    def explain_unknown(self, stock, ours):
        is_first = stock['dso'] not in self.seen
        self.seen.add(stock['dso'])
        if not ours or (ours['head'], ours['tail']) != (stock['head'], stock['tail']):
            return None
        return 'go' if is_go(stock['dso']) else 'first' if is_first else None

    def explain(self, stock, ours):
        """The kind of the difference, or None."""
        if stock.replace('.abi0', '', 1) == ours:
            return 'abi0'
        if '[...]' in ours and without_types(stock) == without_types(ours):
            return 'types'
        o, unknown, s = NAME.match(ours), UNKNOWN.match(stock), NAME.match(stock)
        if unknown:
            return self.explain_unknown(unknown, o)
        if not s or not o or (s['head'], s['tail']) != (o['head'], o['tail']):
            return None
        place, end = self.address(s['name']), self.following.get(self.address(o['name']))
        return 'return' if place is not None and place == end and not int(s['off'] or '0', 16) else None


def read_lines(path):
    with open(path, errors='surrogateescape') as f:
        return f.read().split('\n')


def main():
    stock_path, ours_path, binary = sys.argv[1:]
    stock, ours = read_lines(stock_path), read_lines(ours_path)
    checker = Checker(binary)
    bad = []
    for number, (s, o) in enumerate(zip(stock, ours), 1):
        kind = 'equal' if s == o else checker.explain(s, o)
        if kind:
            checker.counts[kind] += 1
        else:
            bad.append(f'{number}: stock {s!r}\n{number}: ours  {o!r}')
    if len(stock) != len(ours):
        bad.append(f'stock has {len(stock)} lines, ours {len(ours)}')
    print(' '.join(f'{kind} {cnt}' for kind, cnt in checker.counts.items()))
    if bad or checker.counts['equal'] < 2:
        print('\n'.join(bad[:5]), f'\n{len(bad)} differences without a known cause')
        sys.exit(1)


main()
