/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The scripts. g addresses repeat between processes, so whatever is kept under one is
 * kept under the process, too. No return probes (docs/probes.md).
 */
#include "bpftrace/script.h"

const struct gj_bt_script gj_bt_scripts[] = {
	{
		.name = "gopark",
		.purpose = "how often goroutines parked, by wait reason",
		.notes = " * @parked[sleep]: 9\n"
			 " * @parked[chan receive]: 12\n",
		.names = GJ_BT_WAIT_REASONS,
		.needed_args = GJ_ARG_CX,
		.own_maps = "@name",
		.body = "@@runtime.gopark\n"
			"{\n"
			"\t@parked[@name[reg(\"cx\") & 255]] = count();\n"
			"}\n",
	},
	{
		.name = "goroutine-states",
		.purpose = "changes of goroutines' states, counted: from, to",
		.notes = " * From Go 1.26 on a system call changes the state without the function that\n"
			 " * is hooked here: running to syscall and back are missing (script syscalls).\n"
			 " * A goroutine that is said to wait while the collector works on it runs on.\n"
			 " *\n"
			 " * @transitions[runnable, running]: 64\n"
			 " * @transitions[running, waiting]: 57\n",
		.names = GJ_BT_STATUSES,
		.needed_args = GJ_ARG_BX | GJ_ARG_CX,
		.own_maps = "@name",
		.body = "// 0x1000 says that the stack is being scanned.\n"
			"@@runtime.casgstatus\n"
			"{\n"
			"\t@transitions[@name[reg(\"bx\") & 0xfff], @name[reg(\"cx\") & 0xfff]] = count();\n"
			"}\n",
	},
	{
		.name = "sched-latency",
		.purpose = "from a goroutine's being runnable to its running, microseconds",
		.notes = " * @goroutine_us is by process and goroutine ID.\n"
			 " *\n"
			 " * @sched_us:\n"
			 " * [1]                    9 |@@@@@@@@@@@@@@@@@                                   |\n"
			 " * [2, 4)                27 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n",
		.needed_args = GJ_ARG_AX | GJ_ARG_CX,
		.own_maps = "@ready",
		.body = "@@runtime.casgstatus (reg(\"cx\") & 0xfff) == 1\n"
			"{\n"
			"\t@ready[pid, reg(\"ax\")] = nsecs;\n"
			"}\n\n"
			"@@runtime.execute @ready[pid, reg(\"ax\")]\n"
			"{\n"
			"\t$us = (nsecs - @ready[pid, reg(\"ax\")]) / 1000;\n"
			"\t@sched_us = hist($us);\n"
			"\t@goroutine_us[pid, *(uint64 *)(reg(\"ax\") + %goid)] = hist($us);\n"
			"\tdelete(@ready[pid, reg(\"ax\")]);\n"
			"}\n",
	},
	{
		.name = "stw",
		.purpose = "how long the world was stopped, by reason, microseconds",
		.notes = " * From the request to stop to the beginning of the start.\n"
			 " *\n"
			 " * @stopped[GC mark termination]: 3\n"
			 " * @stw_us[GC mark termination]:\n"
			 " * [16, 32)               3 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n",
		.names = GJ_BT_STW_REASONS,
		.needed_args = GJ_ARG_AX,
		.own_maps = "@name @since @reason",
		.body = "@@runtime.stopTheWorldWithSema\n"
			"{\n"
			"\t@since[pid] = nsecs;\n"
			"\t@reason[pid] = %reason;\n"
			"}\n\n"
			"@@runtime.startTheWorldWithSema @since[pid]\n"
			"{\n"
			"\t@stopped[@name[@reason[pid]]] = count();\n"
			"\t@stw_us[@name[@reason[pid]]] = hist((nsecs - @since[pid]) / 1000);\n"
			"\tdelete(@since[pid]);\n"
			"\tdelete(@reason[pid]);\n"
			"}\n",
	},
	{
		.name = "alloc-bypass",
		.purpose = "allocations that went past the processor's cache, by size class",
		.notes = " * A cache that has run out takes a new span from the central list. By bytes of\n"
			 " * an object: how often, and the bytes of the spans (some may be partly used).\n"
			 " * Objects above 32 KiB never use the cache and are not here.\n"
			 " *\n"
			 " * @refills[32768, noscan]: 40\n"
			 " * @bytes[32768, noscan]: 1310720\n",
		.names = GJ_BT_SIZE_CLASSES,
		.needed_args = GJ_ARG_BX,
		.own_maps = "@size @span",
		.body = "// The span class: size class * 2, and 1 for objects without pointers.\n"
			"@@runtime.(*mcache).refill\n"
			"{\n"
			"\t$class = (reg(\"bx\") & 255) >> 1;\n"
			"\tif (reg(\"bx\") & 1) {\n"
			"\t\t@refills[@size[$class], \"noscan\"] = count();\n"
			"\t\t@bytes[@size[$class], \"noscan\"] = sum(@span[$class]);\n"
			"\t} else {\n"
			"\t\t@refills[@size[$class], \"scan\"] = count();\n"
			"\t\t@bytes[@size[$class], \"scan\"] = sum(@span[$class]);\n"
			"\t}\n"
			"}\n",
	},
	{
		.name = "syscalls",
		.purpose = "time in system calls and calls of C, microseconds",
		.notes = " * From entersyscall to exitsyscall. Left out: raw system calls, and waits that\n"
			 " * the runtime knows beforehand to be long (entersyscallblock).\n"
			 " *\n"
			 " * @syscall_us:\n"
			 " * [0]                  198 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n"
			 " * @syscalls: 203\n",
		.own_maps = "@since",
		.body = "// r14 is g.\n"
			"@@runtime.reentersyscall\n"
			"{\n"
			"\t@since[pid, reg(\"r14\")] = nsecs;\n"
			"}\n\n"
			"@@runtime.exitsyscall @since[pid, reg(\"r14\")]\n"
			"{\n"
			"\t$us = (nsecs - @since[pid, reg(\"r14\")]) / 1000;\n"
			"\t@syscall_us = hist($us);\n"
			"\t@syscalls = count();\n"
			"\t@total_us = sum($us);\n"
			"\tdelete(@since[pid, reg(\"r14\")]);\n"
			"}\n",
	},
	{
		.name = "gc-assist",
		.purpose = "goroutines that had to mark for the collector, and for how long",
		.notes = " * By process and goroutine ID: calls of gcAssistAlloc, and the microseconds of\n"
			 " * marking in them. A call that finds credit to take marks nothing.\n"
			 " *\n"
			 " * @assists[4711, 18]: 25\n"
			 " * @marked_us[4711, 18]: 1830\n",
		.needed_args = GJ_ARG_AX | GJ_ARG_BX,
		.own_maps = "@since",
		.body = "@@runtime.gcAssistAlloc\n"
			"{\n"
			"\t@assists[pid, *(uint64 *)(reg(\"ax\") + %goid)] = count();\n"
			"}\n\n"
			"@@runtime.gcAssistAlloc1\n"
			"{\n"
			"\t@since[pid, reg(\"ax\")] = nsecs;\n"
			"}\n\n"
			"// It is said to wait while it marks; back from there, it is done.\n"
			"@@runtime.casgstatus @since[pid, reg(\"ax\")] && (reg(\"bx\") & 0xfff) == 4\n"
			"{\n"
			"\t$us = (nsecs - @since[pid, reg(\"ax\")]) / 1000;\n"
			"\t@assist_us = hist($us);\n"
			"\t@marked_us[pid, *(uint64 *)(reg(\"ax\") + %goid)] = sum($us);\n"
			"\tdelete(@since[pid, reg(\"ax\")]);\n"
			"}\n",
	},
};

const size_t gj_bt_script_cnt = sizeof(gj_bt_scripts) / sizeof(gj_bt_scripts[0]);
