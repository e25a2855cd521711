/* SPDX-License-Identifier: MIT */
/* The protection of single pages of the guest's own page tables, which start.asm builds, and pages
 * of the RAM behind the image. */
#ifndef GUESTS_LIB_PAGES_H
#define GUESTS_LIB_PAGES_H

#include <stddef.h>

enum page_access {
    PAGE_NONE = 0,
    PAGE_READ = 1, /* every other access includes it */
    PAGE_WRITE = 2,
    PAGE_EXECUTE = 4,
    PAGE_USER = 8, /* also from CPL 3 */
};

/* Sets what may be done with the 4 KiB page that holds `address`: a set of enum page_access. The
 * address lies below 2 MiB, where the image is; 4 KiB pages end there. */
void page_protect(const void *address, unsigned access);

/* `count` pages one behind the other, zeroed, for good; NULL when so many are not left. Any vCPU
 * may ask. */
void *pages_alloc(size_t count);

/* The first page that pages_alloc has not handed out, and the end of what it may. */
void *pages_next(void);
void *pages_end(void);

void pages_init(void);

#endif
