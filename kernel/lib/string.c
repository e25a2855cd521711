/* SPDX-License-Identifier: MIT */
/* The part of <string.h> (C11 7.24) that the kernel calls, and that GCC calls on its own for
 * structures (memcpy, memmove, memset, memcmp). Copies use the string instructions, in words of
 * eight bytes and then the rest: fast on every processor, and without SSE registers, which hold
 * guest state. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Keeps GCC from recognising a loop here as the function that it implements and calling that. */
#pragma GCC optimize("no-tree-loop-distribute-patterns")

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    void *result = to;
    size_t words = size / 8;

    size %= 8;
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
    return result;
}

void *memset(void *to, int value, size_t size)
{
    void *result = to;
    size_t words = size / 8;
    uint64_t pattern = 0x0101010101010101ull * (uint8_t)value;

    size %= 8;
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(pattern) : "memory");
    return result;
}

/* Backwards in a loop, not with STD: an NMI must never find the direction flag set. */
void *memmove(void *to, const void *from, size_t size)
{
    if ((uintptr_t)to - (uintptr_t)from >= size)
        return memcpy(to, from, size);

    char *target = to;
    const char *source = from;
    while (size-- > 0)
        target[size] = source[size];
    return to;
}

int memcmp(const void *left, const void *right, size_t size)
{
    const unsigned char *a = left, *b = right;

    for (size_t i = 0; i < size; i++) {
        if (a[i] != b[i])
            return a[i] - b[i];
    }
    return 0;
}

size_t strlen(const char *text)
{
    size_t length = 0;

    while (text[length])
        length++;
    return length;
}

size_t strnlen(const char *text, size_t limit)
{
    size_t length = 0;

    while (length < limit && text[length])
        length++;
    return length;
}

int strncmp(const char *left, const char *right, size_t limit)
{
    for (size_t i = 0; i < limit; i++) {
        unsigned char a = (unsigned char)left[i], b = (unsigned char)right[i];
        if (a != b)
            return a - b;
        if (a == '\0')
            return 0;
    }
    return 0;
}

int strcmp(const char *left, const char *right)
{
    return strncmp(left, right, SIZE_MAX);
}

char *strchr(const char *text, int wanted)
{
    for (;; text++) {
        if (*text == (char)wanted)
            return (char *)text;
        if (*text == '\0')
            return NULL;
    }
}

/* Not 0 if the word has a zero byte; its lowest bit is in the first one. */
static inline uint64_t zero_bytes(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101ull;
    return (word - ones) & ~word & ones << 7;
}

/* By words: lines are looked for in all that guests write. */
void *memchr(const void *memory, int wanted, size_t size)
{
    const unsigned char *bytes = memory, *end = bytes + size;
    const uint64_t pattern = 0x0101010101010101ull * (uint8_t)wanted;
    for (uint64_t word[2]; (size_t)(end - bytes) >= sizeof word; bytes += sizeof word) {
        __builtin_memcpy(word, bytes, sizeof word);
        uint64_t first = zero_bytes(word[0] ^ pattern), second = zero_bytes(word[1] ^ pattern);
        if (first | second)
            return (void *)(uintptr_t)(bytes + (first ? __builtin_ctzll(first) / 8
                                                      : 8 + __builtin_ctzll(second) / 8));
    }
    for (; bytes < end; bytes++)
        if (*bytes == (unsigned char)wanted)
            return (void *)(uintptr_t)bytes;
    return NULL;
}
