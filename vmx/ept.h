/* SPDX-License-Identifier: MIT */
/* EPT paging structures (SDM 28.2): the map from guest-physical to host-physical addresses. The
 * mapper knows frames and page tables, no guest. Pure over the direct map: runs on the host in
 * tests. */
#ifndef VMX_EPT_H
#define VMX_EPT_H

#include <stdatomic.h>

#include "kernel/lib/types.h"
#include "kernel/mm/frame_pool.h"
#include "kernel/mm/phys.h"

enum ept_access { /* bits 2:0 of an entry */
    EPT_READ = 1,
    EPT_WRITE = 2,
    EPT_EXECUTE = 4,
    EPT_RW = EPT_READ | EPT_WRITE,
    EPT_RX = EPT_READ | EPT_EXECUTE,
    EPT_RWX = EPT_READ | EPT_WRITE | EPT_EXECUTE,
};

enum ept_memory_type { EPT_UC = 0, EPT_WB = 6 }; /* bits 5:3 of a leaf */

/* Pages that ept_reach found last, by the low bits of their number: one word each, so that cores
 * may read and write it at once. Nothing that is mapped is forgotten by itself: who takes a mapping
 * or rights away empties it. */
#define EPT_RECENT_BITS 4
#define EPT_RECENT      (1u << EPT_RECENT_BITS)

struct ept {
    struct frame_pool *pool; /* where the paging structures come from and go back to */
    hpa_t root;              /* the PML4 table */
    uint32_t table_count;    /* frames that hold paging structures, the root included */
    uint8_t max_order;       /* the largest leaf: FRAME_ORDER_4K, _2M or _1G, by capability */
    _Atomic uint64_t recent[EPT_RECENT];
};

struct ept_leaf {
    hpa_t address;     /* of the byte asked for */
    unsigned order;    /* FRAME_ORDER_4K, _2M or _1G */
    uint8_t access;    /* enum ept_access bits */
    uint8_t memory_type;
};

/* Takes the frame of an empty PML4 from `pool`, which stays in use until ept_destroy. Returns 0,
 * -ENOMEM, or -EINVAL for a max_order that no leaf has. */
MUST_CHECK int ept_create(struct ept *ept, unsigned max_order, struct frame_pool *pool);

/* Gives the paging structures back, not the frames that they map. No processor uses the EPT any
 * more, nor has translations of it cached (INVEPT). */
void ept_destroy(struct ept *ept);

/* The same, and on the way calls `visit` for every leaf in ascending order: it may give back what
 * the leaf maps. */
typedef void ept_visit(gpa_t guest, const struct ept_leaf *leaf, void *context);
void ept_take_apart(struct ept *ept, ept_visit *visit, void *context);

/* Maps 2^order frames at `guest` (both addresses aligned to it) by one leaf. -EINVAL: access that
 * has other bits, is none, or is writable without readable (a misconfiguration, SDM 28.2.3.1;
 * executable alone is one too where the processor lacks it: the caller knows), a memory type that
 * is not in the enum, a guest address at or above 2^48, a host address at or above 2^52, an order
 * above max_order or one that is not a leaf's. -EEXIST: something is mapped there already. -ENOMEM:
 * no frame for a table (nothing changed). */
MUST_CHECK int ept_map(struct ept *ept, gpa_t guest, hpa_t host, unsigned order, uint8_t access,
                       enum ept_memory_type type);

/* Sees to it that a leaf maps `guest`, and returns in `host` where that byte is. 0: there was one,
 * whatever its access. 1: a zeroed page of the pool is mapped there now, 4 KiB with `access`,
 * write-back; no processor can have cached that nothing was there (SDM 28.3.2), so nothing is to be
 * invalidated. -ENOMEM or -EINVAL as ept_map. */
MUST_CHECK int ept_populate(struct ept *ept, gpa_t guest, uint8_t access, hpa_t *host);

/* Is nothing mapped in the 2^order frames at `guest`, aligned to them and below 2^48? */
bool ept_has_room(const struct ept *ept, gpa_t guest, unsigned order);

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

/* An entry of `recent`: enum ept_access bits (2:0), the host's page number, the tag, which is the
 * rest of the guest's page number. A page whose tag does not fit is not kept. */
#define EPT_RECENT_HOST_SHIFT 3
#define EPT_RECENT_TAG_SHIFT  43
#define EPT_RECENT_HOST_MASK  (BIT(EPT_RECENT_TAG_SHIFT) - BIT(EPT_RECENT_HOST_SHIFT))

/* If ept_reach found the page of `guest` not long ago, with all of `access`, which must not be 0:
 * true, and where in the direct map that `byte` is. */
static inline bool ept_recent(const struct ept *ept, gpa_t guest, uint8_t access, void **byte)
{
    uint64_t page = guest.value >> PAGE_SHIFT;
    /* acquire: with the page comes what its first user put there */
    uint64_t entry = atomic_load_explicit(&ept->recent[page % EPT_RECENT], memory_order_acquire);
    if (entry >> EPT_RECENT_TAG_SHIFT != page >> EPT_RECENT_BITS || (entry & access) != access)
        return false;
    uint64_t host = (entry & EPT_RECENT_HOST_MASK) << (PAGE_SHIFT - EPT_RECENT_HOST_SHIFT);
    *byte = phys_to_virt(HPA(host | (guest.value & PAGE_MASK)));
    return true;
}

/* The same for any page; NULL: nothing is mapped there, or not with all of `access`. */
void *ept_reach(const struct ept *ept, gpa_t guest, uint8_t access);

/* One entry of a walk as people look at it. */
enum ept_step_kind {
    EPT_STEP_TABLE,         /* names the next table */
    EPT_STEP_LEAF,          /* maps a page: the walk ends */
    EPT_STEP_ABSENT,        /* bits 2:0 are 0: an EPT violation */
    EPT_STEP_MISCONFIGURED, /* SDM 28.2.3.1: an EPT misconfiguration */
};

struct ept_step {
    hpa_t table;         /* that the entry is in */
    const char *name;    /* of the entry: "PML4E", "PDPTE", "PDE", "PTE" */
    uint32_t index;      /* in the table */
    uint64_t entry;
    enum ept_step_kind kind;
    uint64_t size;       /* bytes of guest-physical memory that the entry is about */
    hpa_t address;       /* of the next table; of a leaf: where the byte asked for is */
    uint8_t access;      /* enum ept_access bits */
    uint8_t memory_type; /* of a leaf, as in IA32_MTRR_DEF_TYPE: 0 UC, 1 WC, 4 WT, 5 WP, 6 WB */
};

/* Walks as ept_walk does and returns the entries on the way, the root's first: how many they are;
 * 0 for an address at or above 2^48. */
#define EPT_STEPS_MAX 4
unsigned ept_walk_steps(const struct ept *ept, gpa_t guest, struct ept_step steps[EPT_STEPS_MAX]);

/* Entries as they are, for audits: calls `visit` for each that is not 0, in ascending order, and for
 * those of a table behind the entry that should name it, if `visit` returned true for that one. An
 * entry is about 2^order frames from `guest` on. */
void ept_for_each_entry(const struct ept *ept,
                        bool (*visit)(gpa_t guest, uint64_t entry, unsigned order, void *context),
                        void *context);

/* An entry is an address and other bits. ept_map writes EPT_RWX beside that of a table, and for a
 * write-back leaf of 2^order frames what ept_leaf_bits says. */
#define EPT_ADDRESS_MASK ((BIT(52) - 1) & ~PAGE_MASK)
#define EPT_LARGE_PAGE   BIT(7) /* of a PDPTE or PDE: a leaf */
uint64_t ept_leaf_bits(unsigned order, uint8_t access);

/* Does what ept_reach remembers agree with what is mapped? */
bool ept_recent_is_mapped(const struct ept *ept);

/* Calls `visit` for every leaf in ascending order. */
void ept_for_each(const struct ept *ept, ept_visit *visit, void *context);

#endif
