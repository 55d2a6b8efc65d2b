#!/usr/bin/env python3
"""Segments sent again by tests/trace/echo.go as gojitter trace --what tcp counts them,
against /proc/net/snmp and netstat of the network namespace, goroutine numbers and
ports that the programs print, and go tool addr2line.

    tcp.py BINARY GOROOT CLIENT_NETNS SERVER_NETNS
"""

import json
import os
import socket
import subprocess
import sys
import time

PINS = "/sys/fs/bpf/gojitter/v1/"
KINDS = ("timeouts", "fast", "probes", "handshakes", "other", "unseen")
bad = 0


def check(name, is_so, text=""):
    global bad
    print(("ok: " if is_so else "FAIL: ") + name + (" (%s)" % (text,) if text != "" else ""))
    bad += not is_so


def counters(netns):
    """Kernel Documentation/networking/snmp_counter.rst."""
    found = {}
    for name in ("snmp", "netstat"):
        lines = subprocess.run(["ip", "netns", "exec", netns, "cat", "/proc/net/" + name],
                               capture_output=True, text=True, check=True).stdout.splitlines()
        for keys, values in zip(lines[::2], lines[1::2]):
            found.update(zip(keys.split()[1:], map(int, values.split()[1:])))
    return found


def netns_inode(netns):
    return os.stat("/run/netns/" + netns).st_ino


class Program:
    def __init__(self, programs, netns, *arguments):
        self.child = subprocess.Popen(["ip", "netns", "exec", netns, *arguments], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True,
                                      env=dict({"ECHO_TIME": "700ms"}, **os.environ))
        self.pid = self.child.pid # ip becomes what it runs
        programs.append(self)
        assert self.child.stdout.readline() == "ready\n"

    def tell(self):
        self.child.stdin.write("\n")
        self.child.stdin.flush()

    def lines(self, end):
        found = []
        for line in self.child.stdout:
            if line.strip() == end:
                return found
            found.append(line.split())
        raise EOFError(found)

    def kill(self):
        self.child.kill()
        self.child.wait()


def entries(instance, name):
    text = subprocess.run(["bpftool", "-j", "map", "dump", "pinned", PINS + instance + "/" + name],
                          capture_output=True, text=True, check=True).stdout
    return [(row["formatted"]["key"], row["formatted"].get("value")) for row in json.loads(text)]


def run(binary, goroot, client_netns, server_netns):
    instance = "test-tcp-%d" % os.getpid()
    programs = []
    try:
        server = Program(programs, server_netns, binary, "serve", "[::]:7000", "[::]:7001")
        client = Program(programs, client_netns, binary, "10.77.0.2:7000", "[fd77::2]:7000", "10.77.0.2:7001")
        trace = [os.environ["O"] + "/gojitter", "trace", "-q", "--instance", instance, "--what", "tcp", "--budget", "off",
                 "-p", str(client.pid), "-p", str(server.pid)]
        subprocess.run(trace, check=True)
        server.tell()
        listeners = [server.child.stdout.readline().split()[1] for _ in range(2)]
        before = counters(client_netns), counters(server_netns)
        client.tell()
        said = client.lines("done")
        # A socket's last segments are counted when it is closed.
        deadline = time.time() + 10
        while any(value["use"] != "listened" for key, value in entries(instance, "sockets")):
            assert time.time() < deadline, "sockets stay"
            time.sleep(0.05)
        rows = entries(instance, "tcp_retransmits")
        after = counters(client_netns), counters(server_netns)
        # The server still answers the one that gave up.
        while rows != entries(instance, "tcp_retransmits"):
            rows = entries(instance, "tcp_retransmits")
            after = counters(client_netns), counters(server_netns)
        unowned = dict(entries(instance, "tcp_unowned"))
        stacks = entries(instance, "tcp_stacks")
        drops = [(key, row) for key, row in entries_of_cpus(instance, "drops") if row]
    finally:
        subprocess.run([os.environ["O"] + "/gojitter", "untrace", "--instance", instance], check=False)
        for program in programs:
            program.kill()
    judge_counts(rows, unowned, client.pid, client_netns, before[0], after[0])
    judge_counts(rows, unowned, server.pid, server_netns, before[1], after[1])
    mine = [row for row in rows if row[0]["tgid"] == client.pid]
    judge_rows(mine, said)
    judge_stacks(mine, stacks, {int(line[2]) for line in said if line[0] == "two"}, client.pid, binary, goroot)
    servers = [row for row in rows if row[0]["tgid"] == server.pid and row[0]["local_port"] == 7001]
    check("SYN-ACKs are the listener's", len(servers) == 1 and servers[0][0]["func"].startswith("main.main")
          and str(servers[0][0]["goid"]) in listeners and servers[0][1]["use"] == "listened", servers)
    check("nothing was dropped", not drops, drops)


def entries_of_cpus(instance, name):
    text = subprocess.run(["bpftool", "-j", "map", "dump", "pinned", PINS + instance + "/" + name],
                          capture_output=True, text=True, check=True).stdout
    return [(row["formatted"]["key"], sum(cpu["value"] for cpu in row["formatted"]["values"]))
            for row in json.loads(text)]


def judge_counts(rows, unowned, pid, netns, before, after):
    """Each number is the kernel's own of the namespace; nothing in it but the one process."""
    kernel = {name: after[name] - before[name] for name in
              ("RetransSegs", "TCPSynRetrans", "TCPFastRetrans", "TCPLossProbes", "TCPSlowStartRetrans",
               "TCPTimeouts")}
    ours = {name: sum(value[name] for key, value in rows if key["tgid"] == pid)
            for name in KINDS + ("segments", "failed_cnt", "ambiguous")}
    print("counts", netns, kernel, ours)
    check("%s: as many as SNMP counts" % netns, ours["segments"] == kernel["RetransSegs"])
    check("%s: each is of one kind" % netns, ours["segments"] == sum(ours[kind] for kind in KINDS))
    check("%s: none is nobody's" % netns, netns_inode(netns) not in unowned, unowned)
    # Where the kernel hides one from tracepoints it is of no kind.
    for kind, name in ("handshakes", "TCPSynRetrans"), ("fast", "TCPFastRetrans"):
        check("%s: %s are %s" % (netns, kind, name), ours[kind] <= kernel[name] <= ours[kind] + ours["unseen"])
    # Some probes are new data. A timeout sends one segment and slow start the others.
    check("%s: probes are of TCPLossProbes" % netns, 0 < ours["probes"] <= kernel["TCPLossProbes"])
    check("%s: timeouts are TCPTimeouts and TCPSlowStartRetrans" % netns,
          kernel["TCPSlowStartRetrans"] - ours["unseen"] <= ours["timeouts"] <=
          kernel["TCPSlowStartRetrans"] + kernel["TCPTimeouts"])
    check("%s: no other" % netns, ours["other"] == 0)
    check("%s: most of a tracepoint" % netns, ours["unseen"] * 2 < ours["segments"])


def judge_rows(rows, said):
    owners, writers, dial = {}, {}, []
    for line in said:
        if line[0] == "one":
            owners[int(line[2])] = int(line[1])
        elif line[0] == "two":
            writers.setdefault(int(line[2]), set()).add(int(line[1]))
        else:
            dial.append(int(line[1]))
    seen, shared = set(), []
    for key, value in rows:
        if not value["segments"]:  # the kernel failed to send it; nothing is known of the line then
            check("what failed is its goroutine's", owners.get(key["local_port"]) in (None, key["goid"]), key)
            continue
        port, goid = key["local_port"], key["goid"]
        remote = bytes(int(byte, 0) if isinstance(byte, str) else byte for byte in key["remote"])
        address = socket.inet_ntop(socket.AF_INET, remote[:4]) if key["family"] == "ipv4" else \
            socket.inet_ntop(socket.AF_INET6, remote)
        right = address == ("10.77.0.2" if key["family"] == "ipv4" else "fd77::2") and value["rtt_us"] < 1000000
        if key["remote_port"] == 7001:
            right = right and [goid] == dial and value["handshakes"] == value["segments"] and \
                value["use"] == "connected"
        elif port in writers:
            right = right and goid in writers[port] and value["rtt_us"] > 0
            shared.append(value)
        else:
            right = right and goid == owners.get(port) and value["writers"] == 1 and \
                value["ambiguous"] == 0 and value["use"] == "wrote" and value["rtt_us"] > 0
        seen.add((key["family"], key["remote_port"], port in writers))
        if not right:
            check("a row", False, (key, value, owners, writers, dial))
    # But for what was sent again before the second goroutine's first write.
    check("two writers are told", shared and max(value["writers"] for value in shared) == 2 and
          sum(value["ambiguous"] for value in shared) * 2 > sum(value["segments"] for value in shared), shared)
    check("each row is its goroutine's", len(owners) == 8 and len(writers) == 1 and len(dial) == 1)
    check("of every sort of connection", seen == {("ipv4", 7000, False), ("ipv6", 7000, False),
                                                   ("ipv4", 7000, True), ("ipv4", 7001, False)}, seen)


def judge_stacks(rows, stacks, shared, pid, binary, goroot):
    """Return addresses, less 1, by go tool addr2line."""
    wanted = {"one": [], "two": [], "dial": []}
    sums = {(key["func"], key["hash"]): value for key, value in stacks if key["tgid"] == pid}
    for key, value in rows:
        if not value["segments"]:
            continue
        stack = value["stack"]
        what = "dial" if key["remote_port"] == 7001 else "two" if key["local_port"] in shared else "one"
        wanted[what].append([pc - 1 for pc in stack["pcs"][:stack["pc_cnt"]]])
        if sums[key["func"], value["stack_hash"]]["stack"] != stack:
            check("its stack is in tcp_stacks", False, sums[key["func"], value["stack_hash"]])
    check("tcp_stacks has all segments", sum(value["segments"] for value in sums.values()) ==
          sum(value["segments"] for key, value in rows))
    for what, last in ("one", ("net.(*conn).Write", "main.exchange", "main.one")), \
                      ("two", ("net.(*conn).Write", "main.exchange", "main.two")), \
                      ("dial", ("net.socket",)):
        names = [functions(binary, goroot, pcs) for pcs in wanted[what]]
        check("%s: stacks have %s" % (what, " < ".join(last)),
              names and all(is_within(last, one) for one in names), names[:2])


def functions(binary, goroot, pcs):
    text = subprocess.run([goroot + "/bin/go", "tool", "addr2line", binary], text=True, check=True,
                          input="".join("%#x\n" % pc for pc in pcs), capture_output=True,
                          env=dict(os.environ, GOROOT=goroot, GOTOOLCHAIN="local")).stdout
    return text.splitlines()[::2]


def is_within(part, whole):
    """In that order; the linker's wrappers of methods may stand between."""
    rest = iter(whole)
    return all(name in rest for name in part)


run(*sys.argv[1:])
sys.exit(1 if bad else 0)
