/* SPDX-License-Identifier: MIT */
/* The descriptor tables of 64-bit mode: their entries and how they are loaded (SDM Vol. 3A 3.5,
 * 6.14, 7.2.3, 7.7). */
#ifndef GUESTS_LIB_DESCRIPTORS_H
#define GUESTS_LIB_DESCRIPTORS_H

#include <stddef.h>
#include <stdint.h>

#define INTERRUPT_GATE 0x8e /* present, DPL 0 */
#define GATE_DPL3      0x60
#define TSS_AVAILABLE  0x89

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7]; /* IST1 to IST7 */
    uint64_t reserved2;
    uint16_t reserved3, io_map_base;
} __attribute__((packed));

struct idt_entry {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
} __attribute__((packed));

struct descriptor_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

/* `ist`: 1 to 7, or 0 for the stack that is in use. */
static inline struct idt_entry idt_gate(uint16_t selector, const void *handler, unsigned ist)
{
    uintptr_t offset = (uintptr_t)handler;

    return (struct idt_entry){
        .offset_low = (uint16_t)offset,
        .selector = selector,
        .ist = (uint8_t)ist,
        .type = INTERRUPT_GATE,
        .offset_middle = (uint16_t)(offset >> 16),
        .offset_high = (uint32_t)(offset >> 32),
    };
}

/* A TSS takes two entries of the GDT. */
static inline void gdt_set_tss(uint64_t entry[2], const struct tss *tss)
{
    uint64_t base = (uintptr_t)tss;

    entry[0] = (sizeof(*tss) - 1) | (base & 0xffffff) << 16 | (uint64_t)TSS_AVAILABLE << 40 |
               (base >> 24 & 0xff) << 56;
    entry[1] = base >> 32;
}

static inline void lgdt(const void *table, size_t size)
{
    struct descriptor_pointer pointer = {(uint16_t)(size - 1), (uintptr_t)table};

    __asm__ volatile("lgdt %0" : : "m"(pointer) : "memory");
}

static inline void lidt(const void *table, size_t size)
{
    struct descriptor_pointer pointer = {(uint16_t)(size - 1), (uintptr_t)table};

    __asm__ volatile("lidt %0" : : "m"(pointer) : "memory");
}

static inline void ltr(uint16_t selector)
{
    __asm__ volatile("ltr %0" : : "r"(selector) : "memory");
}

#endif
