#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
    repair.py callers FP DWARF   callers put back in FP call the same functions in DWARF
    repair.py off FP OFF         OFF is FP without what was put back
    repair.py quality JSON ERR   the line on the run agrees with what the run printed
"""
import collections
import json
import re
import sys


def read(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


def user(record):
    return [frame for frame in record['frames'] if not frame['kernel']]


def base(name):
    return re.sub(r'\[.*\]', '[...]', name or '?')


def check_callers(fp, dwarf):
    """What is rare, or comes in bursts, may be in one recording only. A dump does not show who called the vdso."""
    edges = set()
    for record in dwarf:
        frames = user(record)
        for callee, caller in zip(frames, frames[1:]):
            edges.add((base(callee['func']), base(caller['func'])))
    counts = collections.Counter()
    bad = collections.Counter()
    for record in fp:
        frames = user(record)
        for i, frame in enumerate(frames):
            if frame['how'] != 'call':
                continue
            edge = base(frames[i - 1]['func']), base(frame['func'])
            counts['put back'] += 1
            if edge in edges:
                counts['seen'] += 1
            else:
                bad[edge] += 1

    print(f'{len(fp)} samples, {dict(counts)}, not among the dumps: {bad.most_common(5)}')
    return counts['put back'] >= 0.1 * len(fp) and counts['seen'] >= 0.85 * counts['put back']


ROOTS = 'runtime.goexit', 'runtime.mstart', 'runtime.rt0_go', 'runtime.mcall', 'runtime.morestack'


def check_off(fp, off):
    if len(fp) != len(off):
        return False
    cnt = left_out = 0
    for whole, plain in zip(fp, off):
        kept = [{k: v for k, v in f.items() if k != 'may_miss'} for f in whole['frames'] if f['how'] != 'call']
        recorded = plain['frames']
        # Behind duffzero and duffcopy the address the call returned to is the chain's second.
        first = next((i for i, f in enumerate(recorded) if not f['kernel']), len(recorded))
        if len({f['ip'] for f in recorded[first:first + 2]}) == 1:
            recorded = [f for i, f in enumerate(recorded) if i != first + 1 or kept[i:i + 1] == [f]]
        # So it is where RBP still names the record of such a call that has returned: in the same function.
        second = next((i for i, f in enumerate(recorded) if i > first and f['how'] != 'ip'), 0)
        if second and recorded[second]['func'] == recorded[second - 1]['func'] and \
                kept[second:second + 1] != [recorded[second]]:
            recorded = recorded[:second] + recorded[second + 1:]
        # Behind a root chains go on with another stack's frames; those are left out.
        beyond = recorded[len(kept):]
        if kept != recorded[:len(kept)] or (beyond and kept[-1]['func'] not in ROOTS):
            print(kept, plain['frames'])
            return False
        cnt += len(kept) < len(whole['frames'])
        left_out += len(beyond)
    print(f'{cnt} of {len(fp)} samples repaired, {left_out} frames behind roots left out')
    return cnt > 0


def check_quality(records, path):
    with open(path) as f:
        lines = f.read().splitlines()
    told = [line for line in lines if line.startswith('gojitter: quality: ')]
    if len(told) != 1 or told[0] != lines[-1]:
        print(lines)
        return False
    values = dict(word.rstrip(';').split('=') for word in told[0].split(';')[0].split()[2:])
    go = [r for r in records if any(f['func'] and f['func'].startswith(('main.', 'runtime.')) for f in user(r))]
    total = len(go)
    wanted = {
        'complete': sum(r['complete'] for r in go),
        'cut': sum(not r['complete'] for r in go),
        'repaired': sum(any(f['how'] == 'call' for f in r['frames']) for r in go),
        'may_miss': sum(any('may_miss' in f for f in r['frames']) for r in go),
        'no_goid': sum(r['goid'] is None for r in go),
    }
    print(told[0])
    good = int(values['samples']) == len(records) and abs(int(values['go']) - total) <= 0.01 * total
    for key, cnt in wanted.items():
        share = 100 * cnt / total
        if abs(float(values[key].rstrip('%')) - share) > 1:
            print(f'{key}: {values[key]}, not {share:.1f}')
            good = False
    return good


def main():
    what, *paths = sys.argv[1:]
    if what == 'quality':
        return check_quality(read(paths[0]), paths[1])
    return {'callers': check_callers, 'off': check_off}[what](*map(read, paths))


sys.exit(0 if main() else 1)
