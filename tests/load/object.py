#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""A test of tests/trace (gc.py, alloc.py, netpoll.py, syscalls.py) on an object of
`gojitter bpf-object` that stock bpftool loads.

    object.py BPFTOOL TEST BINARY MINOR"""

import os
import runpy
import shutil
import subprocess
import sys
import tempfile

bpftool, test = sys.argv[1:3]
directory = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "trace")
sys.path.insert(0, directory)
import rare  # noqa: E402


class ObjectRun(rare.Run):
    def attach(self, what, binary):
        self.directory = "/sys/fs/bpf/" + self.instance
        with tempfile.TemporaryDirectory() as work:
            written = os.path.join(work, "written.bpf.o")
            subprocess.run([self.gojitter, "bpf-object", "-q", "-e", binary, "--what", what, "-o", written],
                           check=True)
            subprocess.run([bpftool, "prog", "loadall", written, self.directory,
                            "pinmaps", self.directory + "/maps", "autoattach"], check=True)

    def detach(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def pin(self, name):
        return self.directory + "/maps/" + name


rare.Run = ObjectRun
sys.argv[1:] = sys.argv[3:]
runpy.run_path(os.path.join(directory, test), run_name="__main__")
