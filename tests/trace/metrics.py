"""python3 metrics.py BINARY=FEATURES...: what a real Prometheus scrapes of the programs,
from the exporter and from node_exporter's textfile collector, against bpftool's dumps of
the same maps.

The programs have done their work and are stopped (SIGSTOP), so that the maps stand
still. What is expected is made of the dumps alone; all series of ours must be there
and no others."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import struct
import tempfile
import threading
import time
import urllib.parse
import urllib.request

from rare import PINS, Run

# Of bpf/gj_trace.h, struct gj_hist.
MIN_EXP, MAX_EXP = 8, 36


def bounds(slot):
    """Where a slot ends, in ns; None: nowhere."""
    if slot == 0:
        return 1 << MIN_EXP
    exp, quarter = divmod(slot - 1, 4)
    return (5 + quarter) << (exp + MIN_EXP - 2) if exp + MIN_EXP < MAX_EXP else None


class Expected:
    def __init__(self):
        self.series = {}

    def add(self, name, labels, value):
        key = (name, frozenset(labels.items()))
        assert key not in self.series, key
        self.series[key] = value

    def hist(self, name, labels, hist, step):
        if not hist["count"]:
            return
        for exp in range(MIN_EXP, MAX_EXP + 1, step):
            below = sum(count for slot, count in enumerate(hist["slots"])
                        if bounds(slot) is not None and bounds(slot) <= 1 << exp)
            self.add(name + "_bucket", dict(labels, le=repr((1 << exp) / 1e9)), below)
        self.add(name + "_bucket", dict(labels, le="+Inf"), hist["count"])
        self.add(name + "_sum", labels, hist["sum_ns"] / 1e9)
        self.add(name + "_count", labels, hist["count"])


def has(run, name):
    return os.path.exists(PINS + run.instance + "/" + name)


def of_goroutines(run, expected, labels):
    counts = {}
    for key, value in run.entries("goroutines"):
        which = (key["tgid"], value["status"], value["reason"])
        counts[which] = counts.get(which, 0) + 1
    for (tgid, status, reason), count in counts.items():
        expected.add("gojitter_goroutines", labels(tgid, status=status, reason=reason), count)
    names = {"created": "goroutines_created", "exited": "goroutines_exited", "started": "goroutine_starts",
             "parked": "goroutine_parks", "readied": "goroutine_readies", "resumed": "goroutine_resumes",
             "preempted": "goroutine_preemptions", "yielded": "goroutine_yields",
             "syscalls": "goroutine_syscalls", "syscalls_lost_p": "goroutine_syscalls_lost_p",
             "learnt": "goroutine_learnt", "unseen": "goroutine_unseen"}
    for tgid, value in run.entries("goroutine_counts"):
        assert set(value) == set(names), value.keys()
        for field, name in names.items():
            expected.add("gojitter_%s_total" % name, labels(tgid), value[field])
    for key, value in run.entries("long_runs"):
        of = labels(key["tgid"], func=key["func"])
        expected.add("gojitter_goroutine_long_runs_total", of, value["cnt"])
        expected.add("gojitter_goroutine_long_runs_slept_total", of, value["slept_cnt"])
    for key, hist in run.entries("sched_latency"):
        expected.hist("gojitter_goroutine_sched_latency_seconds", labels(key["tgid"], func=key["func"]), hist, 2)
    for key, hist in run.entries("blocked"):
        expected.hist("gojitter_goroutine_blocked_seconds",
                      labels(key["tgid"], reason=key["reason"], func=key["func"]), hist, 2)


def of_gc(run, expected, labels):
    for tgid, value in run.entries("gc"):
        expected.add("gojitter_gc_cycles_total", labels(tgid), value["cycles"])
        expected.hist("gojitter_gc_mark_seconds", labels(tgid), value["mark"], 1)
    for tgid, hist in run.entries("sweep"):
        expected.hist("gojitter_gc_sweep_seconds", labels(tgid), hist, 1)
    for key, hist in run.entries("stw"):
        expected.hist("gojitter_stop_the_world_seconds",
                      labels(key["tgid"], reason=key["reason"], phase=key["phase"]), hist, 1)
    for key, hist in run.entries("mark_assist"):
        expected.hist("gojitter_gc_mark_assist_seconds", labels(key["tgid"], func=key["func"]), hist, 2)


def of_alloc(run, expected, labels):
    for key, value in run.entries("alloc"):
        of = labels(key["tgid"], size_class=key["class"])
        for field in ("refills", "grows", "spans", "span_bytes", "lock_waits"):
            expected.add("gojitter_alloc_%s_total" % field, of, value[field])
        expected.add("gojitter_alloc_lock_wait_seconds_total", of, value["lock_wait_ns"] / 1e9)
        expected.hist("gojitter_alloc_refill_seconds", of, value["refill"], 2)


def of_netpoll(run, expected, labels):
    for key, value in run.entries("netpoll"):
        of = labels(key["tgid"], kind=key["kind"])
        for field in ("calls", "empty", "interrupted", "events"):
            expected.add("gojitter_netpoll_%s_total" % field, of, value[field])
        for field in ("delay", "inside"):
            expected.hist("gojitter_netpoll_%s_seconds" % field, of, value[field], 1)
    for tgid, value in run.entries("netpoll_storm"):
        expected.add("gojitter_netpoll_empty_polls_per_second_max", labels(tgid), value["max_empty_cnt"])


def of_syscalls(run, expected, labels):
    for key, value in run.entries("syscalls"):
        of = labels(key["tgid"], syscall=key["nr"])
        for field, name in (("whole", ""), ("kernel", "_kernel"), ("p_wait", "_p_wait")):
            expected.hist("gojitter_syscall%s_seconds" % name, of, value[field], 2)


def of_threads(run, expected, labels):
    for key, hist in run.entries("run_queue"):
        expected.hist("gojitter_thread_run_queue_seconds",
                      labels(key["tgid"], since=key["since"], func=key["func"], comm=key["comm"]), hist, 2)
    for key, hist in run.entries("off_cpu"):
        expected.hist("gojitter_thread_off_cpu_seconds", labels(key["tgid"], kind=key["kind"]), hist, 1)
    sums = {}
    for _, thread in run.entries("thread_states"):
        sum_of = sums.setdefault((thread["tgid"], thread["run"]), [0, 0])
        sum_of[0] += 1
        sum_of[1] += thread["unseen_switch_ins"]
    for (tgid, state), (cnt, unseen) in sums.items():
        expected.add("gojitter_threads", labels(tgid, state=state), cnt)
        expected.add("gojitter_threads_unseen_switches", labels(tgid, state=state), unseen)


RETRANSMITS = {"segments": "", "timeouts": "timeout_", "fast": "fast_", "probes": "probe_", "handshakes": "handshake_",
               "other": "other_", "unseen": "unseen_", "failed_cnt": "failed_", "ambiguous": "ambiguous_"}


def of_tcp(run, expected, labels):
    sums = {}
    for key, value in run.entries("tcp_retransmits"):
        sum_of = sums.setdefault((key["tgid"], key["func"], key["family"]), dict.fromkeys(RETRANSMITS, 0))
        for field in RETRANSMITS:
            sum_of[field] += value[field]
    for (tgid, func, family), fields in sums.items():
        for field, value in fields.items():
            expected.add("gojitter_tcp_%sretransmits_total" % RETRANSMITS[field],
                         labels(tgid, func=func, family=family), value)
    for namespace, value in run.entries("tcp_unowned"):
        if namespace != NAMESPACE:
            continue
        of = {"trace": run.instance, "netns": str(namespace)}
        expected.add("gojitter_tcp_unowned_retransmits_total", of, value["segments"])
        expected.add("gojitter_tcp_unowned_syn_acks_total", of, value["syn_acks"])


def of_census(run, expected, labels):
    for key, value in run.entries("census_counts"):
        expected.add("gojitter_census_goroutines",
                     labels(key["tgid"], status=key["status"], reason=key["reason"], func=key["func"]),
                     value["number"])
    for tgid, value in run.entries("census_passes"):
        for field, name in (("torn", "torn"), ("busy", "busy"), ("cut", "cut"), ("unreadable", "unreadable"),
                            ("is_whole", "whole")):
            expected.add("gojitter_census_" + name, labels(tgid), value[field])


# What differs from reading to reading, as the exporter takes a census each time.
PASSING = ("gojitter_census_age_seconds", "gojitter_census_duration_seconds")


# Of the network namespace that we are in others' segments are counted; this is nobody's.
NAMESPACE = 17


def resend(run):
    """Segments sent again, as the feature tcp would have noted: two goroutines of one function."""
    for goid, family in ((1, 2), (2, 2), (3, 10)):
        key = struct.pack("<IIQIHH32s", run.child.pid, 0, goid, family, 1, 2, bytes([goid] * 32))
        value = struct.pack("<9Q", *(goid * 100 + number for number in range(9)))
        value += bytes(240 - len(value))
        subprocess.run(["bpftool", "map", "update", "pinned", PINS + run.instance + "/tcp_retransmits", "key"] +
                       ["%d" % byte for byte in key] + ["value"] + ["%d" % byte for byte in value], check=True)
    subprocess.run(["bpftool", "map", "update", "pinned", PINS + run.instance + "/tcp_unowned", "key"] +
                   ["%d" % byte for byte in struct.pack("<I", NAMESPACE)] + ["value"] +
                   ["%d" % byte for byte in struct.pack("<QQ", 5, 6)], check=True)


FEATURES = {"threads": ("run_queue", of_threads), "tcp": ("tcp_retransmits", of_tcp),
            "census": ("census_counts", of_census), "gc": ("stw", of_gc),
            "alloc": ("alloc", of_alloc), "netpoll": ("netpoll", of_netpoll),
            "syscalls": ("syscalls", of_syscalls), "goroutines": ("goroutines", of_goroutines)}
DROPS = ("drop_map_full", "drop_no_goroutine", "drop_no_start", "drop_unreadable", "drop_ring_full",
         "drop_stack_short")


def expect(run, binary, minor):
    expected = Expected()

    def labels(tgid, **more):
        return dict({name: str(value) for name, value in more.items()}, trace=run.instance, pid=str(tgid))

    for index, value in run.entries("drops"):
        expected.add("gojitter_drops_total", {"trace": run.instance, "reason": DROPS[index]}, value)
    expected.add("gojitter_metrics_lost_series", {"trace": run.instance}, 0)
    expected.add("gojitter_process_info",
                 labels(run.child.pid, program=os.path.basename(binary), go="1." + minor), 1)
    for mark, add in FEATURES.values():
        if has(run, mark):
            add(run, expected, labels)
    return expected.series


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url, tries=1):
    for left in reversed(range(tries)):
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            if not left:
                raise
            time.sleep(0.1)


@contextlib.contextmanager
def running(arguments, log):
    with open(log, "w") as to:
        child = subprocess.Popen(arguments, stdout=to, stderr=to)
    try:
        yield child
    finally:
        child.terminate()
        child.wait()


def query(port, text):
    answer = json.loads(get("http://127.0.0.1:%d/api/v1/query?%s" % (port, urllib.parse.urlencode({"query": text}))))
    return [(row["metric"], float(row["value"][1])) for row in answer["data"]["result"]]


def scraped(port, job, runs):
    """What Prometheus has of a job and of our instances: as Expected has it."""
    ours = "|".join(run.instance for run, _, _ in runs)
    found = {}
    for metric, value in query(port, '{__name__=~"gojitter_.+",job="%s",trace=~"%s"}' % (job, ours)):
        name = metric.pop("__name__")
        for label in ("job", "instance"):
            del metric[label]
        if name not in PASSING and metric.get("netns", str(NAMESPACE)) == str(NAMESPACE):
            found[(name, frozenset(metric.items()))] = value
    return found


def until_scraped(port, tries=200):
    """Both jobs, since now: Prometheus reads ours once a second."""
    begin = time.time()
    for _ in range(tries):
        with contextlib.suppress(OSError):
            ups = query(port, "timestamp(up)")
            if len(ups) == 2 and all(when > begin for _, when in ups):
                return
        time.sleep(0.1)
    raise TimeoutError("Prometheus has not scraped both")


CONFIG = """
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
  - {job_name: exporter, static_configs: [{targets: ['127.0.0.1:%d']}]}
  - {job_name: textfile, static_configs: [{targets: ['127.0.0.1:%d']}]}
"""


class Checks:
    bad = 0

    def check(self, name, is_so, text=""):
        print(("ok: " if is_so else "FAIL: ") + name + ("" if is_so else " (%s)" % (text,)))
        self.bad += not is_so

    def same(self, name, found, wanted):
        missing = [key for key in wanted if key not in found]
        more = [key for key in found if key not in wanted]
        other = [(key, found[key], wanted[key]) for key in wanted if key in found and found[key] != wanted[key]]
        self.check(name, not missing and not more and not other and wanted,
                   "missing %d %s; more %d %s; other %d %s" % (len(missing), missing[:3], len(more), more[:3],
                                                             len(other), other[:3]))


def read(run, piece_bytes):
    pieces = []
    fd = os.open(PINS + run.instance + "/metrics", os.O_RDONLY)
    try:
        while True:
            piece = os.read(fd, piece_bytes)
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
    finally:
        os.close(fd)


def read_later(run, tries=100):
    """While Prometheus reads, too: of many series only one reader has room."""
    while True:
        try:
            return read(run, 1 << 20)
        except BlockingIOError:
            tries -= 1
            if not tries:
                raise
            time.sleep(0.05)


def readers(checks, run):
    """All in pieces of any size, at the same time, and given up: the same text, or an error."""
    whole = read(run, 1 << 20)
    checks.check("the text is longer than the kernel's buffer", len(whole) > 3 * 32768, len(whole))
    for size in (1, 700, 32768):
        checks.check("in pieces of %d bytes it is the same" % size, read(run, size) == whole)
    fds = [os.open(PINS + run.instance + "/metrics", os.O_RDONLY) for _ in range(9)]
    texts = [os.read(fd, 100) for fd in fds[:8]]
    try:
        os.read(fds[8], 100)
        checks.check("a ninth reader gets an error", False)
    except BlockingIOError:
        checks.check("a ninth reader gets an error", True)
    for index, fd in enumerate(fds[:8]):
        while piece := os.read(fd, 5000):
            texts[index] += piece
    checks.check("eight that take turns get the same", all(text == whole for text in texts))
    for fd in fds:
        os.close(fd)
    left = run.entries("metrics_series")
    checks.check("what readers had noted is gone", not left, (len(left), left[:2]))


def many_readers(checks, run, cnt=12, each=25):
    """More than there is room for, all the time: the same text or an error, and nothing is left of them."""
    whole, told, refused, other = read(run, 1 << 20), [], [], []

    def go_on():
        for _ in range(each):
            try:
                (told if read(run, 20000) == whole else other).append(1)
            except BlockingIOError:
                refused.append(1)

    threads = [threading.Thread(target=go_on) for _ in range(cnt)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    checks.check("many readers at a time get the same text or an error",
                 told and not other and len(told) + len(refused) == cnt * each, (len(told), len(refused), len(other)))
    left = run.entries("metrics_series")
    checks.check("and leave nothing", not left and not run.entries("metrics_readers"), (len(left), left[:2]))
    print("# %d readings, %d refused" % (len(told), len(refused)))


def quitters(checks, run):
    """Who closes the file before its end is in nobody's way for long."""
    whole = read(run, 1 << 20)
    for _ in range(8):
        with open(PINS + run.instance + "/metrics", "rb", buffering=0) as given_up:
            given_up.read(10)
    time.sleep(1.1)
    checks.check("behind eight that gave up another one reads", read(run, 1 << 20) == whole)
    checks.check("what the others had noted is still there", run.entries("metrics_series") != [])
    time.sleep(10)
    checks.check("and behind 10 s", read(run, 1 << 20) == whole)
    checks.check("it is not", run.entries("metrics_series") == [])


def promtool(checks, name, text):
    told = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    said = (told.stdout + told.stderr).decode()
    checks.check("promtool accepts %s" % name, told.returncode == 0 and not said, said[:2000])


class Watcher(threading.Thread):
    """Reads all instances of this test while their programs work: no sample twice, no bucket
    below the one before it, the last of them the count."""

    def __init__(self):
        super().__init__()
        self.is_over, self.texts, self.wrong = False, 0, []

    def look(self, text):
        seen, bucket, cumulated = set(), None, 0
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            series, _, value = line.rpartition(" ")
            if series in seen:
                self.wrong.append("twice: " + series)
            seen.add(series)
            if "_bucket{" in series:
                of = series[:series.rindex("le=")]
                if of == bucket and float(value) < cumulated:
                    self.wrong.append("less than before: " + line)
                bucket, cumulated = of, float(value)
            elif "_count{" in series and float(value) != cumulated:
                self.wrong.append("not the last bucket: " + line)

    def run(self):
        while not self.is_over:
            for name in os.listdir(PINS):
                if not name.startswith("rare-test-%d-" % os.getpid()):
                    continue
                with contextlib.suppress(FileNotFoundError), open(PINS + name + "/metrics") as file:
                    self.look(file.read())
                    self.texts += 1
            time.sleep(0.02)


def crowded(checks, run, cnt=20000, room=16384):
    """More series than a reading has room for: what is missing is counted."""
    before = len([line for line in read_later(run).splitlines() if line.startswith(b"gojitter_goroutines{")])
    dump = PINS + run.instance + "/goroutines"
    with tempfile.NamedTemporaryFile("w", suffix=".batch") as batch:
        for number in range(cnt):
            # Each waits for a reason of its own, which has no name.
            key = struct.pack("<IIQ", run.child.pid, 0, 1 << 32 | number)
            value = struct.pack("<III", 4, 1000 + number, 0) + bytes(108)
            batch.write("map update pinned %s key %s value %s\n" % (
                dump, " ".join("%d" % b for b in key), " ".join("%d" % b for b in value)))
        batch.flush()
        subprocess.run(["bpftool", "batch", "file", batch.name], check=True, capture_output=True)
    begin = time.monotonic()
    text = read_later(run).decode()
    took = time.monotonic() - begin
    told = [line for line in text.splitlines() if line.startswith("gojitter_goroutines{")]
    lost, = [int(line.split()[-1]) for line in text.splitlines() if line.startswith("gojitter_metrics_lost_series{")]
    checks.check("series that find no room are counted", len(told) + lost == before + cnt and lost,
                 (len(told), lost, before))
    checks.check("and they are those beyond it", 0 < cnt - room < lost < cnt - room + 1000, lost)
    print("# %d series, %d lost: %.0f ms, %.1f MB" % (len(told), lost, took * 1e3, len(text) / 1e6))


def unchanging(text, runs):
    """Of our instances: others come and go."""
    return [line for line in text.splitlines() if not line.startswith(PASSING + ("gojitter_tcp_unowned",)) and
            any('"%s"' % run.instance in line for run in runs)]


def serve(checks, runs, work, stack):
    """The exporter, node_exporter and Prometheus; Prometheus' port."""
    exporter, node, prometheus = free_port(), free_port(), free_port()
    gojitter = runs[0].gojitter
    os.mkdir(work + "/text")
    subprocess.run([gojitter, "export", "--textfile", work + "/text"], check=True)
    checks.check("the file is there, alone", os.listdir(work + "/text") == ["gojitter.prom"])
    with open(work + "/prometheus.yml", "w") as config:
        config.write(CONFIG % (exporter, node))
    stack.enter_context(running([gojitter, "export", "--listen", "127.0.0.1:%d" % exporter], work + "/exporter.log"))
    stack.enter_context(running(
        ["prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile",
         "--collector.textfile.directory=" + work + "/text", "--web.listen-address=127.0.0.1:%d" % node],
        work + "/node.log"))
    stack.enter_context(running(
        ["prometheus", "--config.file=" + work + "/prometheus.yml", "--storage.tsdb.path=" + work + "/tsdb",
         "--web.listen-address=127.0.0.1:%d" % prometheus], work + "/prometheus.log"))
    text = get("http://127.0.0.1:%d/metrics" % exporter, 50)
    promtool(checks, "what is served", text.encode())
    with open(work + "/text/gojitter.prom") as file:
        checks.check("the file and what is served are the same", unchanging(file.read(), runs) == unchanging(text, runs) != [])
    get("http://127.0.0.1:%d/-/ready" % prometheus, 100)
    return prometheus


def main(programs):
    checks = Checks()
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory())
        runs, wanted = [], {}
        watcher = Watcher()
        watcher.start()
        stack.callback(setattr, watcher, "is_over", True)
        for program in programs:
            binary, features, minor = program.split("=")
            run = Run(features, binary, {"GOGC": "off"} if "gc" in features.split(",") else None)
            stack.callback(run.end)
            promtool(checks, "what %s tells while it runs" % features, read(run, 1 << 20))
            runs.append((run, binary, minor))
        watcher.is_over = True
        watcher.join()
        checks.check("texts read while programs work agree with themselves", watcher.texts > 10 and not watcher.wrong,
                     (watcher.texts, watcher.wrong[:5]))
        for run, binary, minor in runs:
            os.kill(run.child.pid, signal.SIGSTOP)
        time.sleep(0.2)
        for run, binary, minor in runs:
            if has(run, "tcp_retransmits"):
                resend(run)
            if has(run, "census"):
                with open(PINS + run.instance + "/census") as census:
                    print("# " + census.read().strip())
            wanted.update(expect(run, binary, minor))
        readers(checks, runs[0][0])
        many_readers(checks, runs[0][0])
        serving = stack.enter_context(contextlib.ExitStack())
        port = serve(checks, [run for run, _, _ in runs], work, serving)
        until_scraped(port)
        checks.same("Prometheus has from the exporter what bpftool dumps", scraped(port, "exporter", runs), wanted)
        checks.same("and from node_exporter", scraped(port, "textfile", runs), wanted)
        checks.check("node_exporter found nothing wrong with the file",
                     [value for _, value in query(port, "node_textfile_scrape_error")] == [0])
        for run, _, _ in runs:
            if "cycles" in run.truth:
                told = query(port, 'gojitter_gc_cycles_total{job="exporter",trace="%s"}' % run.instance)
                checks.check("collections are what the program counted itself",
                             [value for _, value in told] == [run.truth["cycles"]], told)
        crowded(checks, runs[0][0])
        serving.close()
        quitters(checks, runs[2][0])
        print("# %d series, %d texts meanwhile" % (len(wanted), watcher.texts))
    return 1 if checks.bad else 0


sys.exit(main(sys.argv[1:]))
