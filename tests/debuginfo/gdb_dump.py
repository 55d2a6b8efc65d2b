# SPDX-License-Identifier: GPL-2.0
"""Run inside gdb: one JSON line for each hexadecimal address of the file
$GJ_ADDRESSES: [symbol and offset, [function, inlined calls first...], file, line,
line of the function's declaration]."""
import json
import os
import re

import gdb


def functions(pc):
    """Names at an address, innermost first, and the outermost function's declaration."""
    names = []
    block = gdb.block_for_pc(pc)
    while block is not None and not block.is_static and not block.is_global:
        if block.function is not None:
            names.append(block.function.name)
            declared = block.function.line
            if not is_inlined(block):
                return names, declared
        block = block.superblock
    return names, 0


def is_inlined(block):
    """Whether another function is around it."""
    block = block.superblock
    while block is not None and not block.is_static and not block.is_global:
        if block.function is not None:
            return True
        block = block.superblock
    return False


for text in open(os.environ["GJ_ADDRESSES"], encoding="ascii"):
    pc = int(text, 16)
    symbol = gdb.execute("info symbol %#x" % pc, to_string=True)
    names, declared = functions(pc)
    place = gdb.find_pc_line(pc)
    print(json.dumps([re.sub(" (in section|of) .*", "", symbol.strip()), names,
                      place.symtab.filename if place.symtab else None, place.line, declared]))
