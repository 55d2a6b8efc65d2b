#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Checks one output of the perf plugin against what others say.

    plugin-check.py json JSON STOCK             shape, and every value against stock perf's text
                                                (-F comm,pid,tid,time,event,period,ip --ns, perf >= 6.5)
    plugin-check.py same-frames JSON TEXT       format=json tells the same frames as format=perf
    plugin-check.py lines JSON BINARY TWIN      functions, files and lines of every Go frame against
                                                llvm-symbolizer and go tool addr2line on TWIN
    plugin-check.py goids TEXT MIN              forms of goid:, at least MIN with a number
    plugin-check.py folded FOLDED COLLAPSED     against perf's own stackcollapse
    plugin-check.py flamegraph FOLDED TEXT      against FlameGraph's reading of format=perf
    plugin-check.py dwarf TEXT STOCK            a walked stack dump against stock
                                                perf's unwinding of it (libunwind: one frame, libdw: all)

Prints a summary; exit status 1 and what is wrong otherwise.
"""
import collections
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../sym'))
import oracle  # noqa: E402

KEYS = ['comm', 'pid', 'tid', 'cpu', 'time_ns', 'event', 'period', 'goid', 'goid_source',
        'frames', 'complete']
FRAME_KEYS = ['ip', 'func', 'file', 'line', 'dso', 'inlined', 'kernel', 'how']


def read_json(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


def read_text(path):
    """[(first line, [frame lines])] of perf script's text."""
    with open(path, errors='surrogateescape') as f:
        blocks = f.read().split('\n\n')
    return [(b.split('\n')[0], b.split('\n')[1:]) for b in blocks if b.strip('\n')]


def fail(*lines):
    print('\n'.join(str(line) for line in lines[:8]))
    sys.exit(1)


def is_number(value, low=0):
    return isinstance(value, int) and not isinstance(value, bool) and value >= low


def check_shape(record):
    if list(record) != KEYS:
        return f'keys {list(record)}'
    for frame in record['frames']:
        if list(frame) != FRAME_KEYS + ['may_miss'] * frame.get('may_miss', False):
            return f'frame keys {list(frame)}'
        if not re.fullmatch('0x[0-9a-f]+', frame['ip']) or frame['how'] not in ('ip', 'kernel', 'fp', 'call'):
            return f'frame {frame}'
        if not isinstance(frame['inlined'], bool) or not isinstance(frame['kernel'], bool):
            return f'frame {frame}'
        if frame['line'] is not None and (not is_number(frame['line'], 1) or not frame['file']):
            return f'frame {frame}'
    if not isinstance(record['complete'], bool) or not isinstance(record['goid_source'], str):
        return f'{record}'
    if record['goid'] is not None and not is_number(record['goid'], 1):
        return f'goid {record["goid"]}'
    return None


def check_json(json_path, stock_path):
    ours, stock = read_json(json_path), read_text(stock_path)
    first = re.compile(r'(.+?) +(\d+)/(\d+) +(\d+)\.(\d{9}): +(\d+) +(\S+?): *$')
    if len(ours) != len(stock):
        fail(f'{len(ours)} objects, stock perf prints {len(stock)} records')
    for record, (line, frames) in zip(ours, stock):
        wrong = check_shape(record)
        match = first.match(line)
        if wrong or not match:
            fail(wrong or f'stock line {line!r}')
        comm, pid, tid, seconds, rest, period, event = match.groups()
        theirs = [comm, int(pid), int(tid), int(seconds) * 10**9 + int(rest), event, int(period),
                  [int(frame, 16) for frame in frames]]
        said = [record['comm'], record['pid'], record['tid'], record['time_ns'], record['event'],
                record['period'],
                [int(f['ip'], 16) for f in record['frames'] if not f['inlined']]]
        if theirs != said:
            fail(f'ours  {said}', f'stock {theirs}')
    print(f'{len(ours)} objects')


def check_same_frames(json_path, text_path):
    ours, text = read_json(json_path), read_text(text_path)
    goid = re.compile(r': goid:(\d+|-\(.+?\)) $')
    seen = 0
    if len(ours) != len(text):
        fail(f'{len(ours)} objects, {len(text)} records of text')
    for record, (line, frames) in zip(ours, text):
        shown = [re.sub(r'\+0x[0-9a-f]+ \(', ' (', frame.split(' ', 1)[1] if frame[0] == ' ' else
                        re.sub(r'^\t *[0-9a-f]+ ', '', frame)) for frame in frames]
        told = [f'{f["func"] or "[unknown]"} ' + ('(inlined)' if f['inlined'] else f'({f["dso"] or "[unknown]"})')
                for f in record['frames']]
        if shown != told:
            fail(line, f'text {shown}', f'json {told}')
        match = goid.search(line)
        if match:
            seen += 1
            number = match.group(1) if match.group(1)[0] != '-' else None
            if (str(record['goid']) if record['goid'] else None) != number:
                fail(line, record)
    if not seen:
        fail('no record has a goid: field')
    print(f'{len(ours)} records, {seen} with goid:')


def go_frames(records, binary):
    """{address to ask about: ((function, place), ...)} of each place in the binary, innermost first."""
    found = {}
    for record in records:
        group, previous = [], None
        for frame in record['frames']:
            if frame['dso'] != binary:
                previous, group = frame['func'], []
                continue
            # Of some frames nothing but the function is proven.
            if frame['how'] == 'call' and not frame['file']:
                found[int(frame['ip'], 16) - 1] = ((frame['func'], None),)
                continue
            group.append((frame['func'] or '??',
                          f'{frame["file"]}:{frame["line"] or 0}' if frame['file'] else '??:0'))
            if frame['inlined']:
                continue
            # A return address stands for the call before it; where a signal struck, and where
            # the kernel returns to from one, nothing was called.
            is_exact = frame['how'] == 'ip' or previous in ('runtime.asyncPreempt', 'runtime.sigpanic') or \
                frame['func'].startswith('runtime.sigreturn')
            found[int(frame['ip'], 16) - (not is_exact)] = tuple(group)
            previous, group = frame['func'], []
    return found


def check_lines(json_path, binary, twin):
    found = go_frames(read_json(json_path), binary)
    addresses = sorted(found)
    inlined = sum(len(frames) > 1 for frames in found.values())
    if len(addresses) < 100 or inlined < 20:
        fail(f'only {len(addresses)} addresses, {inlined} with inlined calls')
    minor = oracle.go_minor(twin)
    asked = ['0x%x' % a for a in addresses]
    theirs = oracle.frames_by_address(
        oracle.run(['llvm-symbolizer', '--obj=' + twin, '--inlines', '--addresses',
                    '--output-style=GNU'], asked), False)
    go = oracle.ask_go(twin, addresses)
    bad = []
    for address, their, answer in zip(addresses, theirs, go):
        ours = list(found[address])
        if ours[0][1] is None:
            if re.sub(r'\[.*\]', '[...]', answer[0]) != re.sub(r'\[.*\]', '[...]', ours[0][0]):
                bad.append(f'{address:x}: {ours}, go tool addr2line: {answer}')
            continue
        # jump padding: see tests/sym/oracle.py; then Go's own tools decide
        if not oracle.same_frames(ours, their, minor) and answer != (ours[-1][0], ours[0][1]):
            bad.append(f'{address:x}: {ours}, not {their}')
        # go tool addr2line: the function that holds the address, the innermost line
        if (re.sub(r'\[.*\]', '[...]', answer[0]), answer[1]) != \
                (re.sub(r'\[.*\]', '[...]', ours[-1][0]), ours[0][1]):
            bad.append(f'{address:x}: {ours}, go tool addr2line: {answer}')
    if bad:
        fail(f'{len(bad)} of {len(addresses)} differ', *bad)
    print(f'{len(addresses)} addresses, {inlined} with inlined calls')


def check_goids(text_path, least):
    counts = collections.Counter()
    for line, frames in read_text(text_path):
        if 'goid:' not in line:
            continue
        match = re.search(r' \S+: goid:(\d+|-\((?:sched|g0|\?)\)) $', line)
        if not match or match.group(1) == '0':
            fail(f'form: {line!r}')
        kind = 'number' if match.group(1)[0] != '-' else match.group(1)
        counts[kind] += 1
        # In the scheduler no goroutine runs.
        if kind == 'number' and any(re.search(r' runtime\.(schedule|findRunnable|findrunnable|mcall)\+', f)
                                    for f in frames):
            fail(line, *frames)
    if counts['number'] < int(least):
        fail(f'{dict(counts)}')
    if not int(least) and counts['number']:
        fail('goroutines out of nothing', counts)
    print(dict(counts))


def read_folded(path, tidy):
    counts = collections.Counter()
    with open(path, errors='surrogateescape') as f:
        for line in f:
            stack, _, cnt = line.rstrip('\n').rpartition(' ')
            counts[';'.join(tidy(frame) for frame in stack.split(';'))] += int(cnt)
    return counts


def compare_counts(ours, theirs):
    if sum(ours.values()) < 100:
        fail(f'only {sum(ours.values())} samples')
    if ours != theirs:
        fail(*[f'{stack}: {ours[stack]}, not {theirs[stack]}'
               for stack in sorted(set(ours) | set(theirs)) if ours[stack] != theirs[stack]])
    print(f'{len(ours)} stacks, {sum(ours.values())} samples')


def check_folded(folded_path, collapsed_path):
    # perf writes [unknown] where FlameGraph, and we, name the file; and the symbol table's .abi0
    tidy = lambda frame: '[unknown]' if re.fullmatch(r'\[[^\[\]]*\]', frame) else re.sub(r'\.abi0$', '', frame)
    compare_counts(read_folded(folded_path, tidy), read_folded(collapsed_path, tidy))


def check_flamegraph(folded_path, text_path):
    """FlameGraph's stackcollapse-perf.pl reads these forms of line, and so do its descendants."""
    head = re.compile(r'^(\S.+?)\s+(\d+)/*(\d+)*\s+')
    frame = re.compile(r'^\s*(\w+)\s*(.+) \((.*)\)')
    counts = collections.Counter()
    comm, stack = None, []
    with open(text_path, errors='surrogateescape') as f:
        for line in f.read().split('\n'):
            if not line:
                if comm:
                    counts[';'.join([comm] + stack[::-1])] += 1
                comm, stack = None, []
            elif comm is None:
                comm = head.match(line).group(1).replace(' ', '_')
            else:
                _, name, module = frame.match(line).groups()
                name = re.sub(r'\+0x[0-9a-f]+$', '', name)
                if name == '[unknown]':
                    name = f'[{module.strip("[]").split("/")[-1]}]'
                stack.append(name.replace(';', ':'))
    compare_counts(read_folded(folded_path, lambda name: name), counts)


def check_dwarf(text_path, stock_path):
    ours, stock = read_text(text_path), read_text(stock_path)
    if len(ours) != len(stock) or len(ours) < 100:
        fail(f'{len(ours)} records, stock perf prints {len(stock)}')
    strange, roots, deeper = [], 0, 0
    for (line, frames), (stock_line, stock_frames) in zip(ours, stock):
        if line != stock_line:
            fail(line, stock_line)
        roots += bool(re.search(r' runtime\.(goexit|mstart|rt0_go)\+', frames[-1])) if frames else 0
        mine = [int(frame.split()[0], 16) for frame in frames]
        theirs = [int(frame.split()[0], 16) for frame in stock_frames]
        deeper += len(mine) > len(theirs)
        # What the kernel walked, and the instruction the program was at, is certain. Where stock
        # perf does not know what is mapped there (a program that is just being started) it has none.
        kernel = sum('([kernel' in frame for frame in stock_frames)
        certain = kernel + (len(theirs) > kernel)
        if mine[:certain] != theirs[:certain]:
            fail(line, *frames, 'stock:', *stock_frames)
        # libdw's addresses of callers are those of the calls, one less. It sees callers of
        # functions without a frame, which frame pointers skip; it ends where assembly moves SP.
        at = certain
        for address in mine[certain:]:
            found = [i for i in range(at, len(theirs)) if theirs[i] in (address, address - 1)]
            if not found and at < len(theirs):
                strange.append((line, frames, stock_frames))
                break
            at = found[0] + 1 if found else at
    if len(strange) * 50 > len(ours):
        fail(f'{len(strange)} of {len(ours)} stacks hold what stock perf does not', *strange[:2])
    if roots * 3 < len(ours):
        fail(f'only {roots} of {len(ours)} stacks reach a root')
    print(f'{len(ours)} stacks, {roots} down to the root, {deeper} deeper than stock perf\'s, {len(strange)} strange')


CHECKS = {'json': check_json, 'same-frames': check_same_frames, 'lines': check_lines,
          'goids': check_goids, 'folded': check_folded, 'flamegraph': check_flamegraph,
          'dwarf': check_dwarf}
CHECKS[sys.argv[1]](*sys.argv[2:])
