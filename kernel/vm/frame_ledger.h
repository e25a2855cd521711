/* SPDX-License-Identifier: MIT */
/* Who owns each frame, found out anew at each audit: the allocator says which frames are free and
 * which are handed out, then everybody who holds some says so, and each leaf and table of each EPT
 * is looked at. A frame that two claim, that nobody does, or that is mapped without being the
 * guest's is a violation. Pure; the caller sees to it that nothing changes meanwhile. */
#ifndef KERNEL_VM_FRAME_LEDGER_H
#define KERNEL_VM_FRAME_LEDGER_H

#include "kernel/lib/types.h"
#include "kernel/mm/frame_pool.h"
#include "vmx/ept.h"

#define LEDGER_LINE_MAX 200

enum ledger_use {
    LEDGER_NO_RAM, /* not the allocator's: the image, modules, devices */
    LEDGER_FREE,
    LEDGER_HOST,   /* the hypervisor's for good: it had it at the first audit */
    LEDGER_OPEN,   /* handed out since then, and nobody has claimed it yet */
    LEDGER_HELD,   /* taken for a VM, which must not reach it: its vCPUs, tables, disks, stock */
    LEDGER_OWNED,  /* RAM of a VM */
    LEDGER_SHARED, /* of the hypervisor, in the EPT of each VM that its books allow */
    LEDGER_USES
};

/* All zeroes but the first three, to begin with. */
struct frame_ledger {
    uint32_t *frames; /* by frame number, below frames_end(): enum ledger_use, and a VM's number */
    void (*violation)(const char *line);
    const char *(*name)(uint32_t vm);
    bool settled;     /* the first audit is over: what was open then is the host's */
    uint64_t count[LEDGER_USES];
    unsigned violations; /* of this audit */
    uint64_t end;        /* the first frame number without a word */
};

/* How a frame may be in an EPT that is no RAM of its guest's. */
struct frame_share {
    gpa_t guest;
    hpa_t host;
    uint64_t size;  /* bytes, whole pages */
    uint8_t access; /* enum ept_access bits, all of which it has */
};

/* A VM's EPT, or the array of a disk's pages. */
struct frame_space {
    uint32_t vm;
    const struct ept *ept;
    enum ledger_use use; /* of its pages: LEDGER_OWNED, of a disk LEDGER_HELD */
    uint8_t (*access)(const void *context, gpa_t guest); /* of a page as it must be; 0: none */
    const void *context;
    const struct frame_share *shares;
    uint32_t share_count;
};

/* In this order: begin; shared and held frames and the pools' stock; every space; end. */

/* Asks the allocator. False: its own books are wrong (reported), and the audit is over. */
MUST_CHECK bool ledger_begin(struct frame_ledger *ledger);

/* `size` bytes of LEDGER_SHARED or, by a VM, of LEDGER_HELD. */
void ledger_claim(struct frame_ledger *ledger, hpa_t start, uint64_t size, enum ledger_use use,
                  uint32_t vm);

/* What lies ready in a VM's pool. */
void ledger_claim_stock(struct frame_ledger *ledger, const struct frame_pool *pool, uint32_t vm);

/* All leaves and tables. Returns how many frames it has, tables included, of which `*pages` are not
 * shared and no tables. */
uint64_t ledger_claim_space(struct frame_ledger *ledger, const struct frame_space *space,
                            uint64_t *pages);

/* A violation if they differ: what was `found`, what the VM's `books` say. */
void ledger_compare(struct frame_ledger *ledger, uint32_t vm, const char *what, uint64_t found,
                    uint64_t books);

/* Looks for what nobody has claimed. `reserved` is what all pools may still take from the
 * allocator. Returns how many violations there were. */
unsigned ledger_end(struct frame_ledger *ledger, uint64_t reserved);

/* One more, found by the caller. */
void ledger_violation(struct frame_ledger *ledger, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
