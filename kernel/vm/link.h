/* SPDX-License-Identifier: MIT */
/* Links: pages that several VMs share, and doorbells between them. A link lives as long as the
 * machine; its pages belong to it and to no VM, so a peer that dies takes nothing with it. Each VM
 * that names the link has a peer number in it for ever, dead or alive. */
#ifndef KERNEL_VM_LINK_H
#define KERNEL_VM_LINK_H

#include <atoll/abi.h>

#include "kernel/lib/types.h"
#include "kernel/vm/frame_ledger.h"
#include "kernel/vm/module_line.h"

struct vm;
struct vcpu;

/* A VM's place in its links, in the order of its module line. In struct vm. */
struct link_place {
    struct link *link;
    uint32_t peer;    /* its number there */
    uint32_t vector;  /* of the interrupt that a ring causes; 0: none */
    struct vcpu *vcpu; /* who gets it */
};

/* Once for a VM, at its creation: finds or makes the links that its configuration names and gives
 * it a peer number in each. 0; or -EINVAL (a link with two sizes, named twice by this VM, with more
 * than ATOLL_LINK_PEERS peers) or -ENOMEM with one line in `error`, and it is in none of them. */
MUST_CHECK int links_join(struct vm *vm, char error[MODULE_LINE_ERROR_MAX]);

/* How many tables its links cost in a VM's EPT, at most. */
uint64_t links_tables(const struct vm_config *config);

/* At each start of the VM, with its EPT made: maps the pages, tells the peers that it is alive.
 * 0 or -ENOMEM. */
MUST_CHECK int links_enter(struct vm *vm);

/* At its end: no ring reaches the VM when this returns, and the peers are told. */
void links_leave(struct vm *vm);

/* The VM has stopped for good. Its peers look whether anybody is left to ring them. */
void links_give_up(struct vm *vm);

/* May a peer still ring this VM, one that runs or may start again? Then a guest that sleeps without
 * a timer is not dead. */
bool links_can_wake(const struct vm *vm);

/* ---- For the operator: links and their peers as they are at one moment */

struct link_view {
    const char *name;
    uint32_t pages;
    uint32_t peers, alive; /* how many VMs are on it, and how many of them live */
};

struct link_peer_view {
    const struct vm *vm;
    uint32_t generation;   /* starts of the VM so far */
    bool alive, writable;
    bool gone;             /* for good, unless the operator starts it again */
    uint32_t vector;       /* 0: a ring does not interrupt it */
    uint32_t pending;      /* peers that rang, came or died since it last polled */
};

/* The link made after this one, NULL: the first. NULL: there is none. Links stay for ever. */
struct link *link_after(const struct link *link);

void link_look(struct link *link, struct link_view *view);

/* False: it has no peer of that number. */
bool link_look_at_peer(struct link *link, uint32_t number, struct link_peer_view *view);

/* ---- For the audit of frames */

/* What the link at `slot` is in a VM's EPT. */
struct frame_share link_share(const struct vm *vm, uint32_t slot);

/* Claims the pages of all links. */
void links_claim(struct frame_ledger *ledger);

/* ---- */

/* The calls of the guest ABI; each returns what the call returns. */
int64_t link_info(struct vm *vm, uint64_t slot, gpa_t address, uint64_t size);
int64_t link_set_vector(struct vcpu *vcpu, uint64_t slot, uint64_t vector);
int64_t link_ring(struct vm *vm, uint64_t slot, uint64_t peer);
int64_t link_poll(struct vm *vm, uint64_t slot);

#endif
