/* SPDX-License-Identifier: MIT */
/* The line of a GRUB module: "name key=value ...", what one guest is to get. Pure. */
#ifndef KERNEL_VM_MODULE_LINE_H
#define KERNEL_VM_MODULE_LINE_H

#include "kernel/lib/types.h"

#define VM_NAME_MAX          32   /* with the NUL */
#define VM_COMMAND_LINE_MAX  1024 /* with the NUL */
#define MODULE_LINE_ERROR_MAX 200

#define VM_MEMORY_DEFAULT    (8 * MIB)
#define VM_MEMORY_MIN        (1 * MIB)

#define VM_VCPUS_MAX         64
#define VM_LINKS_MAX         8
#define VM_CAP_MAX           (100 * VM_VCPUS_MAX)
#define VM_COPIES_MAX        4096
#define VM_CORES_MAX         512 /* numbers that cpus= may name: 0 to 511 */
#define LINK_NAME_MAX        32  /* with the NUL */

enum restart_policy { RESTART_NEVER, RESTART_ON_FAILURE, RESTART_ALWAYS };

struct link_config {
    char name[LINK_NAME_MAX]; /* as a guest's name */
    uint32_t pages;           /* 0: as many as the link has, 1 if it is new */
    bool read_only;
};

#define VM_DEVICES_MAX       63
#define DEVICE_NAME_MAX      68   /* with the NUL; as in a Solo5 manifest */
#define MTU_DEFAULT          1500
#define MTU_MIN              68   /* of IPv4, RFC 791 */
#define BLOCK_SIZE_DEFAULT   512
#define BLOCK_SIZE_MAX       32768 /* the largest that a Solo5 manifest can say */
#define MAC_SIZE             6

enum device_kind { DEVICE_BLOCK, DEVICE_NET };

/* block:NAME=MODULE[,ro][,sectors=BYTES], block:NAME=ram:SIZE[,sectors=BYTES] or
 * net:NAME=SWITCH[,mac=..][,mtu=N]. */
struct device_config {
    enum device_kind kind;
    char name[DEVICE_NAME_MAX]; /* as a guest's name; no two of one guest have the same */
    char source[VM_NAME_MAX];   /* the module or the switch; "": a disk of `size` zero bytes */
    uint64_t size;              /* a multiple of block_size, not 0 */
    uint32_t block_size;        /* sectors=: a power of two, 512 (the default) to BLOCK_SIZE_MAX */
    bool read_only;
    bool has_mac;               /* else one is made for it */
    uint8_t mac[MAC_SIZE];      /* unicast, not 0 */
    uint16_t mtu;
};

struct vm_config {
    char name[VM_NAME_MAX];                 /* [A-Za-z0-9][A-Za-z0-9._-]*, and not "atoll" */
    const char *command_line;               /* cmdline=TEXT or cmdline="TEXT" */
    uint64_t memory;                        /* mem=N[K|M|G], whole pages, bytes */
    bool eager;                             /* mem=N,eager: all of it is mapped at the start */
    bool control;                           /* control: may operate on other VMs */
    bool pinned;                            /* cpus= is there */
    uint32_t vcpus;                         /* vcpus=N, 1 to VM_VCPUS_MAX */
    uint32_t copies;                        /* copies=N, 1 to VM_COPIES_MAX (1): so many guests; of
                                               more than one, each has its number behind the name */
    uint32_t weight;                        /* weight=N, 1 to 1000 (100): its share of a busy core,
                                               for each vCPU, against the others' weights */
    uint32_t cap;                           /* cap=N: per cent of a core that all its vCPUs together
                                               may use; 0: no limit */
    uint64_t cpus[VM_CORES_MAX / 64];       /* cpus=LIST ("0", "0,2-3"): cores it may run on */
    enum restart_policy restart;            /* restart=never|on-failure|always */
    uint32_t restart_limit;                 /* ,limit=N: so many restarts (10; 0: without end) */
    uint32_t restart_backoff_ms;            /* ,backoff=MS: wait before the first (10), twice as
                                               long before each further one, a second at most */
    int32_t boot_order;                     /* boot_order=N, -1000 to 1000 (0): the lowest first */
    char after[VM_NAME_MAX];                /* after=NAME: starts behind that guest; "" */
    uint32_t link_count;
    const struct link_config *links;        /* link=NAME[:PAGES][,ro], may stand there repeatedly */
    uint32_t device_count;                  /* block: and net:, in the order of the line */
};

/* What a line says, with the largest of all that may stand there. */
struct module_line {
    struct vm_config config; /* whose pointers point here */
    char command_line[VM_COMMAND_LINE_MAX];
    struct link_config links[VM_LINKS_MAX];
    struct device_config devices[VM_DEVICES_MAX];
};

/* Reads a module's string. GRUB re-quotes whole words, so `"cmdline=a b"` is accepted as well as
 * `cmdline="a b"`; GRUB also puts a backslash before \, " and ', inside quotes and outside, so \\,
 * \" and \' stand for the second byte. Returns 0, or -EINVAL with one line in `error` that names
 * the key and the value. On an error, the configuration is whole, but without what came behind it;
 * its name is "" if that could not be read, and `copies` is 1. */
MUST_CHECK int module_line_parse(const char *string, struct module_line *line,
                                 char error[MODULE_LINE_ERROR_MAX]);

#endif
