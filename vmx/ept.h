/* SPDX-License-Identifier: MIT */
/* EPT paging structures (SDM 28.2): the map from guest-physical to host-physical addresses. The
 * mapper knows frames and page tables, no guest. Pure over the direct map: runs on the host in
 * tests. */
#ifndef VMX_EPT_H
#define VMX_EPT_H

#include "kernel/lib/types.h"

enum ept_access { /* bits 2:0 of an entry */
    EPT_READ = 1,
    EPT_WRITE = 2,
    EPT_EXECUTE = 4,
    EPT_RW = EPT_READ | EPT_WRITE,
    EPT_RX = EPT_READ | EPT_EXECUTE,
    EPT_RWX = EPT_READ | EPT_WRITE | EPT_EXECUTE,
};

enum ept_memory_type { EPT_UC = 0, EPT_WB = 6 }; /* bits 5:3 of a leaf */

struct ept {
    hpa_t root;           /* the PML4 table */
    uint32_t table_count; /* frames that hold paging structures, the root included */
    uint8_t max_order;    /* the largest leaf: FRAME_ORDER_4K, _2M or _1G, by capability */
};

struct ept_leaf {
    hpa_t address;     /* of the byte asked for */
    unsigned order;    /* FRAME_ORDER_4K, _2M or _1G */
    uint8_t access;    /* enum ept_access bits */
    uint8_t memory_type;
};

/* Takes the frame of an empty PML4. Returns 0, -ENOMEM, or -EINVAL for a max_order that no leaf
 * has. */
MUST_CHECK int ept_create(struct ept *ept, unsigned max_order);

/* Frees the paging structures, not the frames that they map. No processor uses the EPT any more,
 * nor has translations of it cached (INVEPT). */
void ept_destroy(struct ept *ept);

/* Maps 2^order frames at `guest` (both addresses aligned to it) by one leaf. -EINVAL: access that
 * is not readable (writable alone is a misconfiguration, SDM 28.2.3.1, executable alone is one by
 * capability) or has other bits, a memory type that is not in the enum, a guest address at or above
 * 2^48, a host address at or above 2^52, an order above max_order or one that is not a leaf's.
 * -EEXIST: something is mapped there already. -ENOMEM: no frame for a table (nothing changed). */
MUST_CHECK int ept_map(struct ept *ept, gpa_t guest, hpa_t host, unsigned order, uint8_t access,
                       enum ept_memory_type type);

/* Removes the whole leaf that maps `guest` and returns what it mapped in `leaf`; tables that become
 * empty are freed. -ENOENT: nothing is mapped there. No processor runs on this EPT meanwhile, and
 * the caller invalidates (INVEPT) before one does: till then it may hold a freed table cached. */
MUST_CHECK int ept_unmap(struct ept *ept, gpa_t guest, struct ept_leaf *leaf);

/* Changes the access of all of [guest, guest + size), whole pages, splitting larger leaves where
 * needed. -ENOENT if a page in it is not mapped, -ENOMEM, -EINVAL as ept_map (nothing is changed).
 * The caller invalidates (INVEPT) when rights were taken away. */
MUST_CHECK int ept_protect(struct ept *ept, gpa_t guest, uint64_t size, uint8_t access);

/* Walks as the processor does. 0 and the leaf, or -ENOENT. */
MUST_CHECK int ept_walk(const struct ept *ept, gpa_t guest, struct ept_leaf *leaf);

/* Calls `visit` for every leaf in ascending order. */
void ept_for_each(const struct ept *ept,
                  void (*visit)(gpa_t guest, const struct ept_leaf *leaf, void *context),
                  void *context);

#endif
