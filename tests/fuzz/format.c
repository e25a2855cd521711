/* SPDX-License-Identifier: MIT */
/* Any format of one conversion with any value, in a buffer of any size, and the string functions
 * over any bytes: what libc has under these names says the same. Then any bytes as a format: it
 * ends, within its buffer. The unit test is included, for the names. */
#define _GNU_SOURCE
#include "tests/fuzz/input.h"

static struct input choices;

#define rand() ((int)draw(&choices, 1))
#define main   unit_test
#include "tests/unit/test_format.c"
#undef main

static void check_number(void)
{
    static const char *const lengths[] = {"hh", "h", "", "l", "ll", "z", "j", "t"};
    const char *length = lengths[rand() % 8];
    size_t size = (size_t)(rand() % 100);
    uint64_t value = draw(&choices, 8);
    char format[64];

    random_format(format, length, "diuxX"[rand() % 5]);
    if (length[0] == 'h' || length[0] == '\0')
        SAME(size, format, (int)value);
    else
        SAME(size, format, value);
}

static void check_text(void)
{
    char format[64];
    size_t size = (size_t)(rand() % 100), length = draw(&choices, 1) % (choices.left + 1);
    char *text = string_copy(choices.bytes, length);

    random_format(format, "", 's');
    SAME(size, format, text);
    SAME(size, "%c%s%p", text[0], text, (void *)((uintptr_t)size + 1));
    free(text);
}

#define SAME_SIGN(a, b) require(SIGN(a) == SIGN(b), "another order")

static void check_bytes(void)
{
    uint8_t ours[48], theirs[48];
    char text[49];
    size_t to = draw(&choices, 1) % 24, from = draw(&choices, 1) % 24;
    size_t size = draw(&choices, 1) % 24;
    int wanted = (int)draw(&choices, 1);

    for (size_t i = 0; i < sizeof(ours); i++)
        ours[i] = theirs[i] = (uint8_t)draw(&choices, 1);
    memcpy(text, ours, sizeof(ours));
    text[48] = '\0';
    SAME_SIGN(atoll_memcmp(ours + to, ours + from, size), memcmp(ours + to, ours + from, size));
    SAME_SIGN(atoll_strncmp(text + to, text + from, size), strncmp(text + to, text + from, size));
    SAME_SIGN(atoll_strcmp(text + to, text + from), strcmp(text + to, text + from));
    require(atoll_strlen(text + from) == strlen(text + from), "another length");
    require(atoll_strnlen(text + from, size) == strnlen(text + from, size), "another length");
    require(atoll_strchr(text, wanted) == strchr(text, wanted), "another place");
    require(atoll_memchr(ours, wanted, size) == memchr(ours, wanted, size), "another place");
    atoll_memmove(ours + to, ours + from, size);
    memmove(theirs + to, theirs + from, size);
    atoll_memset(ours + from, wanted, size / 2);
    memset(theirs + from, wanted, size / 2);
    require(memcmp(ours, theirs, sizeof(ours)) == 0, "other bytes");
}

static void check_any_format(void)
{
    size_t size = (size_t)(rand() % 100);
    char *format = string_copy(choices.bytes, choices.left), *text = malloc(size + 1);

    unsigned conversions = 0;
    for (char *c = format; *c; c++) {
        if (*c == 's' || *c == '*')
            *c = 'd'; /* what would need an argument of its kind */
        if (*c == '%' && ++conversions > 8)
            *c = '8';
    }
    require(text, "memory");
    text[size] = '~';
    int length = atoll_snprintf(text, size, format, 1, 2, 3, 4, 5, 6, 7, 8);
    require(text[size] == '~', "a byte behind the buffer");
    if (size > 0 && length >= 0)
        require(strnlen(text, size) == MIN((size_t)length, size - 1), "another length");
    free(format);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    choices = (struct input){data, size};
    switch (draw(&choices, 1) % 4) {
    case 0:
        while (choices.left > 0)
            check_number();
        break;
    case 1: check_text(); break;
    case 2: check_bytes(); break;
    case 3: check_any_format(); break;
    }
    return 0;
}
