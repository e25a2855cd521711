/* SPDX-License-Identifier: MIT */
/* Ports that are no call, and instructions that such a guest must not execute: `how=` and `port=`
 * say which. */
#include "guests/hvt/lib/guest.h"

#include "guests/lib/descriptors.h"

HVT_DEVICES();

static uint64_t arguments[8]; /* good for any call: all of it is 0 */

static void do_out32(uint16_t port)
{
    __asm__ volatile("outl %0, %1" : : "a"((uint32_t)(uintptr_t)arguments), "d"(port) : "memory");
}

static void do_out8(uint16_t port)
{
    out8(port, 0);
}

static void do_out16(uint16_t port)
{
    out16(port, 0);
}

static void do_in8(uint16_t port)
{
    in8(port);
}

static void do_in16(uint16_t port)
{
    in16(port);
}

static void do_in32(uint16_t port)
{
    in32(port);
}

static void do_outs(uint16_t port)
{
    __asm__ volatile("outsl" : : "S"(arguments), "d"(port) : "memory");
}

static void do_rep_outs(uint16_t port)
{
    __asm__ volatile("rep outsl" : : "S"(arguments), "d"(port), "c"(2) : "memory");
}

static void do_ins(uint16_t port)
{
    __asm__ volatile("insl" : : "D"(arguments), "d"(port) : "memory");
}

static void do_hlt(uint16_t port)
{
    (void)port;
    halt();
}

static void do_vmcall(uint16_t port)
{
    __asm__ volatile("vmcall" : : "a"((uint64_t)port) : "memory");
}

/* Without an IDT no exception can be delivered. */
static void do_triple_fault(uint16_t port)
{
    (void)port;
    lidt(arguments, 1);
    __asm__ volatile("ud2");
}

static const struct {
    const char *name;
    void (*run)(uint16_t port);
} ways[] = {
    {"out8", do_out8},
    {"out16", do_out16},
    {"out32", do_out32},
    {"in8", do_in8},
    {"in16", do_in16},
    {"in32", do_in32},
    {"outs", do_outs},
    {"rep-outs", do_rep_outs},
    {"ins", do_ins},
    {"hlt", do_hlt},
    {"vmcall", do_vmcall},
    {"triple-fault", do_triple_fault},
};

int main(void)
{
    const char *how = guest_option("how");

    for (size_t i = 0; how && i < ARRAY_SIZE(ways); i++) {
        if (strcmp(ways[i].name, how) == 0)
            ways[i].run((uint16_t)guest_option_number("port", 0));
    }
    printf("FAILURE: it survived %s\n", how ? how : "nothing");
    return 0;
}
