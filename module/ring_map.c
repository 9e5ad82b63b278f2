// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings: mapping the memory, and repair when a mapping ends.
 *
 * Each process that maps a ring through a handle has a struct mbx_attach, which
 * counts its mappings. The first mapping that can write to slots makes it a
 * sender with an owner number, the first that can write to the head a receiver.
 * When the last one of a sender ends, its slots are given up; when that of
 * either ends, both sides are woken.
 *
 * Mapping is called under mmap_lock. ring.lock is taken inside it, for a few
 * steps at a time: memory is allocated before it is taken, and the slots of a
 * dead sender are gone through without it. Until then the owner number and the
 * place of the only sender stay taken.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/personality.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>
#include <linux/xarray.h>

#include "compat.h"
#include "limits.h"
#include "mailbox.h"
#include "ring.h"
#include "ring_shared.h"
#include "trace.h"

/* ---- recovery ------------------------------------------------------------ */

/*
 * Give up the slots that a sender was filling when it ended. Its mapping is gone,
 * so no other participant that keeps to the protocol changes them.
 */
static void recover(struct mailbox *mb, u32 owner)
{
	struct mbx_ring *ring = mb->ring;
	u64 busy = (u64)owner << MBOX_SLOT_OWNER_SHIFT | MBOX_SLOT_BUSY;
	u64 who = BIT_ULL(MBOX_SLOT_POS_SHIFT) - 1;
	unsigned int found = 0;
	u32 i;

	for (i = 0; i <= ring->mask; i++) {
		u64 *word = &mbx_ring_slot_at(ring, i)->word;
		u64 old = READ_ONCE(*word);

		if ((old & who) == busy &&
		    cmpxchg64(word, old, old - MBOX_SLOT_BUSY + MBOX_SLOT_ABANDONED) == old)
			found++;
		if (i % RECOVER_AT_ONCE == 0)
			cond_resched();
	}
	trace_mbox_ring_recover(mb, owner, found);
}

/* ---- regions ------------------------------------------------------------- */

static unsigned int region_of(const struct vm_area_struct *vma)
{
	return vma->vm_pgoff >> (32 - PAGE_SHIFT);
}

/* A mapping counts if it may be made writable, even if it is not at present. */
static bool is_sending(const struct vm_area_struct *vma)
{
	return region_of(vma) == MBOX_RING_SLOTS && vma->vm_flags & VM_MAYWRITE;
}

static bool is_receiving(const struct vm_area_struct *vma)
{
	return region_of(vma) == MBOX_RING_HEAD && vma->vm_flags & VM_MAYWRITE;
}

/* ---- who has mapped what ------------------------------------------------- */

/* The order in mbx_ring.attached: by handle, then by memory. */
static int attach_cmp(const struct file *file, const struct mm_struct *mm,
		      const struct mbx_attach *at)
{
	if (file != at->file)
		return file < at->file ? -1 : 1;
	if (mm != at->mm)
		return mm < at->mm ? -1 : 1;
	return 0;
}

static struct mbx_attach *find_attach(struct mbx_ring *ring,
				      const struct vm_area_struct *vma)
{
	struct rb_node *node = ring->attached.rb_node;

	lockdep_assert_held(&ring->lock);
	while (node) {
		struct mbx_attach *at = rb_entry(node, struct mbx_attach, node);
		int cmp = attach_cmp(vma->vm_file, vma->vm_mm, at);

		if (!cmp)
			return at;
		node = cmp < 0 ? node->rb_left : node->rb_right;
	}
	return NULL;
}

static void insert_attach(struct mbx_ring *ring, struct mbx_attach *new)
{
	struct rb_node **link = &ring->attached.rb_node, *parent = NULL;

	lockdep_assert_held(&ring->lock);
	while (*link) {
		parent = *link;
		if (attach_cmp(new->file, new->mm,
			       rb_entry(parent, struct mbx_attach, node)) < 0)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&new->node, parent, link);
	rb_insert_color(&new->node, &ring->attached);
}

/* What the user of a process that maps a ring is charged. */
static unsigned int attach_cost(void)
{
	return mbx_kmalloc_size(sizeof(struct mbx_attach)) + PAGE_SIZE;
}

/* Return what is to be counted for the current process, or an error. */
static struct mbx_attach *new_attach(struct mailbox *mb,
				     const struct vm_area_struct *vma)
{
	struct mbx_ring *ring = mb->ring;
	struct mbox_ring_info *info;
	struct mbx_attach *at;
	int ret = -ENOMEM;

	BUILD_BUG_ON(sizeof(*info) > PAGE_SIZE);
	at = kzalloc(sizeof(*at), GFP_KERNEL_ACCOUNT);
	if (!at)
		return ERR_PTR(-ENOMEM);
	at->user = mbx_user_get();
	if (!at->user)
		goto err_free;
	ret = mbx_charge_bytes(at->user, attach_cost(), true);
	if (ret)
		goto err_put_user;
	info = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!info) {
		ret = -ENOMEM;
		goto err_uncharge;
	}
	info->version = MBOX_RING_VERSION;
	info->capacity = ring->capacity;
	info->slots = ring->mask + 1;
	info->msg_max = ring->msg_max;
	info->stride = ring->stride;
	info->flags = ring->flags;
	info->barrier = ring->asym_sides;
	info->slots_size = ring->slots_size;
	at->info = info;
	at->mb = mb;
	at->file = vma->vm_file;
	at->mm = vma->vm_mm;
	at->pid = get_pid(task_tgid(current));
	mmgrab(at->mm);
	return at;

err_uncharge:
	mbx_uncharge_bytes(at->user, attach_cost());
err_put_user:
	mbx_user_put(at->user);
err_free:
	kfree(at);
	return ERR_PTR(ret);
}

static void free_attach(struct mbx_attach *at)
{
	put_pid(at->pid);
	mmdrop(at->mm);
	free_page((unsigned long)at->info);
	mbx_uncharge_bytes(at->user, attach_cost());
	mbx_user_put(at->user);
	kfree(at);
}

/* ---- counting mappings --------------------------------------------------- */

/* Whether the ring admits one more mapping of that kind. */
static int may_add_map(const struct mbx_ring *ring,
		       const struct vm_area_struct *vma)
{
	lockdep_assert_held(&ring->lock);
	if (is_sending(vma) && ring->flags & MBOX_ONE_SENDER && ring->senders)
		return -EBUSY;
	if (is_receiving(vma) && ring->flags & MBOX_ONE_RECEIVER &&
	    ring->receivers)
		return -EBUSY;
	return 0;
}

static void start_sending(struct mbx_ring *ring, struct mbx_attach *at,
			  u32 owner)
{
	lockdep_assert_held(&ring->lock);
	/* The number is reserved, and with it the memory that this takes. */
	WARN_ON_ONCE(xa_is_err(xa_store(&ring->owners, owner, at, 0)));
	at->owner = owner;
	WRITE_ONCE(at->info->owner, owner);
	ring->senders++;
	if (ring->asym_sides & BIT(MBOX_RING_SENDERS))
		ring->only[MBOX_RING_SENDERS] = at;
	trace_mbox_ring_attach(at->mb, true, owner);
}

static void start_receiving(struct mbx_ring *ring, struct mbx_attach *at)
{
	lockdep_assert_held(&ring->lock);
	ring->receivers++;
	if (ring->asym_sides & BIT(MBOX_RING_RECEIVERS))
		ring->only[MBOX_RING_RECEIVERS] = at;
	trace_mbox_ring_attach(at->mb, false, 0);
}

/* One more mapping, not the first of its kind. */
static void count_map(struct mbx_attach *at, const struct vm_area_struct *vma)
{
	if (is_sending(vma))
		at->send_maps++;
	if (is_receiving(vma))
		at->recv_maps++;
	at->maps++;
}

/*
 * Count a mapping. The memory for it is allocated without the lock: so check what
 * is needed, allocate it, and check again.
 */
static int add_map(struct mailbox *mb, struct vm_area_struct *vma)
{
	struct mbx_attach *at, *new = NULL;
	struct mbx_ring *ring = mb->ring;
	u32 owner = 0;
	int ret;

	for (;;) {
		bool starts;

		spin_lock(&ring->lock);
		ret = may_add_map(ring, vma);
		if (ret)
			break;
		at = find_attach(ring, vma);
		starts = is_sending(vma) && !(at && at->send_maps);
		if ((at || new) && (owner || !starts)) {
			if (!at) {
				insert_attach(ring, new);
				at = new;
				new = NULL;
			}
			if (starts) {
				start_sending(ring, at, owner);
				owner = 0;
			}
			if (is_receiving(vma) && !at->recv_maps)
				start_receiving(ring, at);
			count_map(at, vma);
			vma->vm_private_data = at;
			break;
		}
		spin_unlock(&ring->lock);

		if (!at && !new) {
			new = new_attach(mb, vma);
			if (IS_ERR(new)) {
				ret = PTR_ERR(new);
				new = NULL;
				goto out;
			}
		}
		if (starts && !owner) {
			ret = xa_alloc(&ring->owners, &owner, NULL,
				       XA_LIMIT(1, MBOX_SLOT_OWNER_MAX),
				       GFP_KERNEL_ACCOUNT);
			if (ret) {
				owner = 0;
				ret = ret == -EBUSY ? -EUSERS : ret;
				goto out;
			}
		}
	}
	spin_unlock(&ring->lock);
out:
	if (owner)
		xa_erase(&ring->owners, owner);
	if (new)
		free_attach(new);
	return ret;
}

/* After mremap(2), whose move is refused later, or fork(2) after MADV_DOFORK. */
static void ring_vma_open(struct vm_area_struct *vma)
{
	struct mbx_attach *at = vma->vm_private_data;
	struct mbx_ring *ring = at->mb->ring;

	spin_lock(&ring->lock);
	count_map(at, vma);
	spin_unlock(&ring->lock);
}

/* The last mapping for sending is gone: take the owner number away, return it. */
static u32 leave_sending(struct mbx_attach *at)
{
	u32 owner = at->owner;

	at->owner = 0;
	WRITE_ONCE(at->info->owner, 0);
	return owner;
}

static void stop_sending(struct mbx_attach *at, u32 owner)
{
	struct mbx_ring *ring = at->mb->ring;

	recover(at->mb, owner);
	/* Only now may the next sender attach, and the number be used again. */
	xa_erase(&ring->owners, owner);
	spin_lock(&ring->lock);
	ring->senders--;
	if (ring->only[MBOX_RING_SENDERS] == at)
		ring->only[MBOX_RING_SENDERS] = NULL;
	spin_unlock(&ring->lock);
}

static void ring_vma_close(struct vm_area_struct *vma)
{
	struct mbx_attach *at = vma->vm_private_data;
	struct mailbox *mb = at->mb;
	struct mbx_ring *ring = mb->ring;
	bool gone = false, last;
	u32 owner = 0;

	spin_lock(&ring->lock);
	if (is_sending(vma) && !--at->send_maps)
		owner = leave_sending(at);
	if (is_receiving(vma) && !--at->recv_maps) {
		ring->receivers--;
		if (ring->only[MBOX_RING_RECEIVERS] == at)
			ring->only[MBOX_RING_RECEIVERS] = NULL;
		gone = true;
	}
	spin_unlock(&ring->lock);
	if (owner)
		stop_sending(at, owner);
	/*
	 * The participant that ended may have consumed a wake-up without acting
	 * on it, and may have left abandoned slots that others have to pass.
	 */
	if (gone || owner)
		mbx_ring_wake_all(mb);

	spin_lock(&ring->lock);
	last = !--at->maps;
	if (last)
		rb_erase(&at->node, &ring->attached);
	spin_unlock(&ring->lock);
	if (last)
		free_attach(at);
}

/* ---- calls of memory management ------------------------------------------ */

static int ring_vma_split(struct vm_area_struct *vma, unsigned long addr)
{
	return -EINVAL;
}

static int ring_vma_mremap(struct vm_area_struct *vma)
{
	return -EINVAL;
}

static size_t region_size(const struct mbx_ring *ring, unsigned int region)
{
	return region == MBOX_RING_SLOTS ? ring->slots_size : PAGE_SIZE;
}

static vm_fault_t ring_vma_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct mbx_attach *at = vma->vm_private_data;
	struct mbx_ring *ring = at->mb->ring;
	size_t offset = (size_t)(vmf->pgoff - vma->vm_pgoff) << PAGE_SHIFT;
	unsigned int region = region_of(vma);
	struct page *page;

	if (offset >= region_size(ring, region))
		return VM_FAULT_SIGBUS;
	switch (region) {
	case MBOX_RING_INFO:
		page = virt_to_page(at->info);
		break;
	case MBOX_RING_KERNEL:
		page = vmalloc_to_page(ring->kernel);
		break;
	case MBOX_RING_TAIL:
		page = vmalloc_to_page(ring->tail);
		break;
	case MBOX_RING_HEAD:
		page = vmalloc_to_page(ring->head);
		break;
	default:
		page = vmalloc_to_page(ring->slots + offset);
		break;
	}
	get_page(page);
	vmf->page = page;
	return 0;
}

static const struct vm_operations_struct ring_vm_ops = {
	.open = ring_vma_open,
	.close = ring_vma_close,
	.may_split = ring_vma_split,
	.mremap = ring_vma_mremap,
	.fault = ring_vma_fault,
};

/* The right that writers of a region need; 0: only the kernel writes to it. */
static unsigned int writers_right(unsigned int region)
{
	switch (region) {
	case MBOX_RING_TAIL:
	case MBOX_RING_SLOTS:
		return MBX_MAY_SEND;
	case MBOX_RING_HEAD:
		return MBX_MAY_RECV;
	}
	return 0;
}

/**
 * mbx_ring_mmap() - map a region
 * @mb: the mailbox
 * @vma: the region by its offset, and where to map it
 * @rights: rights of the handle
 *
 * Context: Process context, under mmap_lock.
 * Return: 0, or -EOPNOTSUPP, -EINVAL, -EACCES, -EIDRM, -EBUSY, -EUSERS,
 * -EDQUOT, -ENOMEM.
 */
int mbx_ring_mmap(struct mailbox *mb, struct vm_area_struct *vma,
		  unsigned int rights)
{
	struct mbx_ring *ring = mb->ring;
	unsigned int region = region_of(vma);
	int ret;

	if (!(vma->vm_flags & VM_SHARED) || region >= MBOX_RING_REGIONS ||
	    vma->vm_pgoff & ((1UL << (32 - PAGE_SHIFT)) - 1) ||
	    vma->vm_end - vma->vm_start != region_size(ring, region))
		return -EINVAL;
	/* With READ_IMPLIES_EXEC the program did not ask for it: clear it. */
	if (vma->vm_flags & VM_EXEC &&
	    !(current->personality & READ_IMPLIES_EXEC))
		return -EACCES;
	/* A handle without rights is to be passed on, or to be closed. */
	if (!rights)
		return -EACCES;
	if (vma->vm_flags & VM_WRITE && !(rights & writers_right(region)))
		return -EACCES;
	/* Pairs with the WRITE_ONCE() of destroy. */
	if (READ_ONCE(mb->dead))
		return -EIDRM;
	mbx_vm_flags_clear(vma, VM_EXEC | VM_MAYEXEC);
	if (!(vma->vm_flags & VM_WRITE))
		mbx_vm_flags_clear(vma, VM_MAYWRITE);
	mbx_vm_flags_set(vma, VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP);

	ret = add_map(mb, vma);
	if (ret)
		return ret;
	vma->vm_ops = &ring_vm_ops;
	return 0;
}
