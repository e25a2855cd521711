/* SPDX-License-Identifier: MIT */
/* D01: IN and OUT on all 65536 ports, of all widths. Expected: all ones, and no effect. */
#include "tests/hostile/hostile.h"

CASE(d01)
{
    for (uint32_t port = 0; port < 0x10000; port++) {
        uint16_t p = (uint16_t)port;
        out8(p, 0);
        out16(p, 0);
        out32(p, 0);
        uint8_t byte = in8(p);
        uint16_t word = in16(p);
        uint32_t dword = in32(p);
        expect(byte == 0xff && word == 0xffff && dword == UINT32_MAX, "port %x reads %x %x %x",
               port, byte, word, dword);
    }
    uint64_t rax = 0x1122334455667788;
    __asm__ volatile("inb $0x80, %%al" : "+a"(rax));
    expect(rax == 0x11223344556677ff, "IN of a byte gives %lx", rax);
    __asm__ volatile("inw $0x80, %%ax" : "+a"(rax));
    expect(rax == 0x112233445566ffff, "IN of a word gives %lx", rax);
    __asm__ volatile("inl $0x80, %%eax" : "+a"(rax));
    expect(rax == UINT32_MAX, "IN of 32 bits gives %lx", rax);
}
