#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Runs commands in turns and prints wall time, cpu time and peak memory of each.

    speed.py ROUNDS OUTPUT NAME=COMMAND NAME=COMMAND...

Each command writes to OUTPUT. Of all rounds the best and the middle one are
shown, as multiples of the first command's too: times on a shared machine only
mean something beside each other.
"""
import os
import subprocess
import sys
import time


def measure(command, output):
    with open(output, 'wb') as out:
        begin = time.monotonic()
        process = subprocess.Popen(['sh', '-c', 'exec ' + command], stdout=out,
                                   stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - begin
    if status:
        sys.exit(f'{command}: status {status}')
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, os.path.getsize(output)


def main():
    rounds, output = int(sys.argv[1]), sys.argv[2]
    commands = [argument.split('=', 1) for argument in sys.argv[3:]]
    taken = {name: [] for name, _ in commands}
    for _ in range(rounds):
        for name, command in commands:
            taken[name].append(measure(command, output))
    first = commands[0][0]
    base = [sorted(run[i] for run in taken[first]) for i in range(3)]
    print(f'  {"":28}{"wall s":>16}{"cpu s":>16}{"peak MB":>9}{"text MB":>9}   of ' + first)
    print(f'  {"":28}{"best  middle":>16}{"best  middle":>16}')
    for name, _ in commands:
        wall, cpu, peak = (sorted(run[i] for run in taken[name]) for i in range(3))
        middle = rounds // 2
        print(f'  {name:28}{wall[0]:8.2f}{wall[middle]:8.2f}{cpu[0]:8.2f}{cpu[middle]:8.2f}'
              f'{max(peak):9.0f}{taken[name][0][3] / 1e6:9.0f}   '
              f'wall {wall[0] / base[0][0]:.2f} {wall[middle] / base[0][middle]:.2f}, '
              f'cpu {cpu[0] / base[1][0]:.2f} {cpu[middle] / base[1][middle]:.2f}, '
              f'memory {max(peak) / max(base[2]):.2f}')


main()
