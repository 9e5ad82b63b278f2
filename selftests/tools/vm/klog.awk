# SPDX-License-Identifier: GPL-2.0-only
# Print the lines of a kernel log that a clean run does not have.
#
# Where an allocation of kmemleak's own is made to fail, it does without: "Cannot
# allocate a scan area" says so, and that nothing is lost.
#
# Where one fails in a page fault, which is then tried again, "VM_FAULT_OOM leaked
# out" says so: no memory has leaked.
#
# Two exceptions. A test that fills a memory cgroup on purpose writes
# "mbox-test: expect memcg oom" to /dev/kmsg before, and "mbox-test: end memcg
# oom" after. Between the two, an OOM report is excused from its first line
# ("invoked oom-killer") to its last ("Memory cgroup out of memory: Killed"),
# and of that only the stack trace; a report of another kind inside still counts.
#
# And a report of KCSAN counts when one of the two that race is the module: it is
# named in the title, or it called one of the functions in "helpers". The kernel
# has data races of its own.

BEGIN {
	bad = "WARNING:|BUG:|BUG |Oops|general protection|[Kk]ernel panic"
	bad = bad "|KASAN:|KCSAN:|UBSAN:|INFO: |ODEBUG|refcount_t:|Call Trace:"
	bad = bad "|kmemleak: (Cannot allocate a kmemleak|.*disabled|.*suspected)|unreferenced object"
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

	helpers = "(__list_(add|del)|rb_|__rb_|memcpy|memset|memmove|memcmp"
	helpers = helpers "|__mem(cpy|set|move)|refcount_)"
}

# One report of KCSAN, up to its last line; then it is known whose it is.
/BUG: KCSAN:/ { title = $0; report = $0; ours = /\[mbox\]/; helper = 0; next }
title && /==================/ {
	if (ours)
		print report
	title = ""
	next
}
title {
	report = report "\n" $0
	# The first line of a stack is below the line about the access.
	if (helper && /\[mbox\]/)
		ours = 1
	helper = 0
	if (access_line && $0 ~ "\\] *" helpers)
		helper = 1
	access_line = / bytes by (task|interrupt)/
	next
}

/mbox-test: expect memcg oom/ { expected = 1; next }
/mbox-test: end memcg oom/ { expected = 0; in_oom = 0; next }

expected && /invoked oom-killer/ { in_oom = 1; next }
in_oom && /Memory cgroup out of memory: Killed/ { in_oom = 0; next }
in_oom && /Call Trace:/ { next }
expected && /oom_reaper:/ { next }

/VM_FAULT_OOM leaked out to the #PF handler/ { next }

$0 ~ bad { print }

END {
	if (title)
		print report
}
