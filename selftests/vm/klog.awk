# SPDX-License-Identifier: GPL-2.0-only
# Print the lines of a kernel log that a clean run does not have.
#
# One exception: a test that fills a memory cgroup on purpose writes
# "mbox-test: expect memcg oom" to /dev/kmsg before, and "mbox-test: end memcg
# oom" after. Between the two, an OOM report is excused from its first line
# ("invoked oom-killer") to its last ("Memory cgroup out of memory: Killed"),
# and of that only the stack trace; a report of another kind inside still counts.

BEGIN {
	bad = "WARNING:|BUG:|BUG |Oops|general protection|[Kk]ernel panic"
	bad = bad "|KASAN:|KCSAN:|UBSAN:|INFO: |ODEBUG|refcount_t:|Call Trace:"
	bad = bad "|kmemleak: (Cannot|.*disabled|.*suspected)|unreferenced object"
	bad = bad "|possible (circular|recursive|irq|unsafe|deadlock)"
	bad = bad "|suspicious RCU|inconsistent lock state|invalid wait context"
	bad = bad "|held lock freed|lock held|locks? held|bad unlock balance"
	bad = bad "|sleeping function called|scheduling while atomic"
	bad = bad "|stall|blocked for more than|soft lockup|hard LOCKUP|hogged CPU"
	bad = bad "|corruption|Poison overwritten|Redzone|use-after-free|leaked"
	bad = bad "|[Bb]ad page|Unable to handle|double fault|stack guard"
	bad = bad "|page allocation failure|Out of memory"
	bad = bad "|Memory cgroup out of memory|invoked oom-killer"
	bad = bad "|disagrees about version|Unknown symbol|nobody cared"
}

/mbox-test: expect memcg oom/ { expected = 1; next }
/mbox-test: end memcg oom/ { expected = 0; in_oom = 0; next }

expected && /invoked oom-killer/ { in_oom = 1; next }
in_oom && /Memory cgroup out of memory: Killed/ { in_oom = 0; next }
in_oom && /Call Trace:/ { next }
expected && /oom_reaper:/ { next }

$0 ~ bad { print }
