/* SPDX-License-Identifier: MIT */
/* The protection of single pages of the guest's own page tables, which start.asm builds. */
#ifndef GUESTS_LIB_PAGES_H
#define GUESTS_LIB_PAGES_H

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

#endif
