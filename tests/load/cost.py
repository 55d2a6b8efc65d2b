"""Figures of a map `costs` or `budget`, as stock bpftool prints it.

    cost.py INSTANCE FEATURE PROGRAM FIELD    of costs; PROGRAM "all": of the feature
    cost.py INSTANCE FIELD                    of budget
"""

import json
import subprocess
import sys


def dump(instance, name):
    text = subprocess.run(["bpftool", "-j", "map", "dump", "pinned",
                           "/sys/fs/bpf/gojitter/v1/%s/%s" % (instance, name)],
                          capture_output=True, text=True, check=True).stdout
    return [entry["formatted"] for entry in json.loads(text)]


instance, field = sys.argv[1], sys.argv[-1]
if len(sys.argv) == 3:
    print(dump(instance, "budget")[0]["value"][field])
else:
    key = {"feature": sys.argv[2], "program": sys.argv[3]}
    print([row["value"][field] for row in dump(instance, "costs") if row["key"] == key][0])
