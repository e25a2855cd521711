/* SPDX-License-Identifier: MIT */
/* The words of the command line. */
#include "guests/lib/options.h"

#include <string.h>

#define COMMAND_LINE_MAX 1024

static char words[COMMAND_LINE_MAX + 1]; /* the command line with a NUL behind each word */
static size_t words_size;

void options_init(void)
{
    const char *line = guest_command_line();

    while (line[words_size] && words_size < COMMAND_LINE_MAX) {
        words[words_size] = line[words_size] == ' ' ? '\0' : line[words_size];
        words_size++;
    }
}

const char *guest_option(const char *key)
{
    size_t length = strlen(key);

    for (const char *word = words; word < words + words_size; word += strlen(word) + 1) {
        if (strncmp(word, key, length) == 0 && word[length] == '=')
            return word + length + 1;
    }
    return NULL;
}

uint64_t guest_option_number(const char *key, uint64_t fallback)
{
    const char *text = guest_option(key);
    uint64_t value = 0;

    if (!text || !*text)
        return fallback;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return fallback;
        value = value * 10 + (uint64_t)(*text - '0');
    }
    return value;
}
