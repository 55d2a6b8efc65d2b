# SPDX-License-Identifier: GPL-2.0
"""perf script -s gojitter.py: starts the same perf again with --dlfilter gojitter.so.

perf's -s takes Python and Perl, not shared objects. By the time this file is
read perf has opened the recording; a file can be opened again, but what perf
has read from a pipe is gone.
"""
import os
import re
import stat
import sys


FLAGS = rb"[DvLladGIfh]*"  # perf script's short options that take no value


def find_option(words, i, letter, long):
    """(words to keep before it, value, words taken) of the option at words[i], or None."""
    name, equals, value = words[i].partition(b"=")
    if len(name) >= 4 and long.startswith(name):
        if equals:
            return [], value, 1
        kept, value = [], b""
    else:
        short = re.fullmatch(rb"-(" + FLAGS + rb")" + letter + rb"(.*)", words[i], re.DOTALL)
        if not short:
            return None
        kept, value = [b"-" + short[1]] if short[1] else [], short[2]
    if value:
        return kept, value, 1
    return (kept, words[i + 1], 2) if i + 1 < len(words) else None


def is_this(value):
    """Whether a value of -s, perhaps with "python:" before it, is this file."""
    return os.path.basename(value.rpartition(b":")[2]) == os.path.basename(os.fsencode(__file__))


def rewritten(words, plugin):
    """perf's words with the plugin in place of this script; None where it is not there."""
    for i in range(1, len(words)):
        found = find_option(words, i, b"s", b"--script")
        if found and is_this(found[1]):
            return words[:i] + found[0] + [b"--dlfilter", plugin] + words[i + found[2]:]
    for i in range(1, len(words)):  # perf script gojitter.py
        if is_this(words[i]):
            return words[:i] + [b"--dlfilter", plugin] + words[i + 1:]
    return None


def reads_pipe(words):
    """Whether perf reads its recording from standard input: told to, or by itself."""
    given = [find_option(words, i, b"i", b"--input") for i in range(1, len(words))]
    given = [found[1] for found in given if found]
    if given:
        return given[-1] == b"-"
    return stat.S_ISFIFO(os.fstat(0).st_mode)


def fail(why):
    sys.stderr.write("gojitter: gojitter.py: %s\n" % why)
    sys.stderr.flush()
    os._exit(1)


with open("/proc/self/cmdline", "rb") as file:
    own_words = file.read().split(b"\0")[:-1]
own_plugin = os.path.join(os.path.dirname(os.path.realpath(__file__)), "gojitter.so")
new_words = rewritten(own_words, os.fsencode(own_plugin))
if new_words is None:
    fail("does not see itself on perf's command line; use perf script --dlfilter " + own_plugin)
if reads_pipe(own_words):
    fail("cannot read a recording from a pipe; use perf script --dlfilter %s -i -" % own_plugin)
os.execv("/proc/self/exe", new_words)
