"""What the tests of gc, alloc, netpoll and syscalls share: a program that says
"ready", works when told to, prints as JSON what it counted itself, and waits;
the maps of an instance that traces it meanwhile."""

import json
import os
import subprocess
import sys

PINS = "/sys/fs/bpf/gojitter/v1/"


class Run:
    started = 0

    def __init__(self, what, binary, env=None):
        Run.started += 1
        self.instance = "rare-test-%d-%d" % (os.getpid(), Run.started)
        self.gojitter = os.path.join(os.environ["O"], "gojitter")
        self.bad = 0
        self.child = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      text=True, env=dict(os.environ, **(env or {})))
        try:
            self.said = ""
            assert json.loads(self.child.stdout.readline()) == "ready"
            self.attach(what, binary)
            self.tell()
            self.truth = json.loads(self.child.stdout.readline())
        except BaseException:
            self.end()
            raise

    def attach(self, what, binary):
        started = subprocess.run([self.gojitter, "trace", "-p", str(self.child.pid), "--what", what, "--budget", "off",
                                  "--instance", self.instance], capture_output=True, text=True)
        self.said = started.stdout + started.stderr
        assert started.returncode == 0, self.said

    def detach(self):
        subprocess.run([self.gojitter, "untrace", "--instance", self.instance],
                       capture_output=True, check=False)

    def pin(self, name):
        return PINS + self.instance + "/" + name

    def tell(self):
        self.child.stdin.write("\n")
        self.child.stdin.flush()

    def end(self):
        self.detach()
        self.child.kill()
        self.child.wait()

    def run_delay_ns(self):
        """What its threads have waited for a processor, all together (Documentation/scheduler/sched-stats.rst)."""
        tasks = "/proc/%d/task" % self.child.pid
        return sum(int(open("%s/%s/schedstat" % (tasks, tid)).read().split()[1]) for tid in os.listdir(tasks))

    def entries(self, name):
        """Keys and values, those of all CPUs added up (fields max_* : the greatest)."""
        text = subprocess.run(["bpftool", "-j", "map", "dump", "pinned", self.pin(name)],
                              capture_output=True, text=True, check=True).stdout
        found = []
        for row in json.loads(text):
            row = row.get("formatted", row)
            if "values" in row:
                row["value"] = None
                for cpu in row["values"]:
                    row["value"] = join(row["value"], cpu["value"], "")
            found.append((row["key"], row["value"]))
        return found

    def check(self, name, is_so, text):
        print(("ok: " if is_so else "FAIL: ") + name + (" (%s)" % (text,) if not is_so else ""))
        self.bad += not is_so

    def equal(self, name, is_value, wanted):
        self.check(name, is_value == wanted, "%s, not %s" % (is_value, wanted))

    def no_drops(self):
        lost = [(key, value) for key, value in self.entries("drops") if value]
        self.check("nothing was dropped", not lost, lost)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.end()
        if not error[0]:
            sys.exit(1 if self.bad else 0)


def join(one, other, name):
    if one is None:
        return other
    if isinstance(one, dict):
        return {key: join(one[key], other[key], key) for key in one}
    if isinstance(one, list):
        return [join(a, b, name) for a, b in zip(one, other)]
    if isinstance(one, str) and one != other:
        raise ValueError(one)
    if isinstance(one, str):
        return one
    return max(one, other) if name.startswith("max_") else one + other
