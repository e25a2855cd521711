/* SPDX-License-Identifier: MIT */
/* The words of a command line; kernel/monitor/words.h says what they are. A word without its quotes
 * is never longer than with them, so words are put together where they stand. */
#include "kernel/monitor/words.h"

#include <linux/errno.h>
#include <string.h>

#include "kernel/lib/parse.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Takes the quotes out of the word at *from, ends it with NUL and leaves in *from what stands
 * behind it. `quoted`: there were some. */
static int cut_word(char **from, bool *quoted)
{
    char *read = *from, *write = *from;
    bool inside = false;

    *quoted = false;
    for (; *read && (inside || !is_blank(*read)); read++) {
        if (*read != '"') {
            *write++ = *read;
            continue;
        }
        inside = !inside;
        *quoted = true;
    }
    if (inside)
        return -EINVAL;
    *from = *read ? read + 1 : read; /* before the NUL, which may take the place of the blank */
    *write = '\0';
    return 0;
}

int words_split(char *line, const char *words[WORDS_MAX], bool *json)
{
    int count = 0;

    *json = false;
    for (;;) {
        while (is_blank(*line))
            line++;
        if (*line == '\0')
            return count;

        const char *word = line;
        bool quoted;
        int error = cut_word(&line, &quoted);
        if (error)
            return error;
        if (count > 0 && !quoted && strcmp(word, "-j") == 0) {
            *json = true;
            continue;
        }
        if (count == WORDS_MAX)
            return -E2BIG;
        words[count++] = word;
    }
}

int words_number(const char *word, uint64_t *number)
{
    return parse_size(word, strlen(word), number);
}

/* How many of the last bytes of `word` are decimal digits. */
static size_t digits_at_end(const char *word, size_t length)
{
    size_t count = 0;

    while (count < length && word[length - 1 - count] >= '0' && word[length - 1 - count] <= '9')
        count++;
    return count;
}

int words_vcpu(const char *word, size_t *name_length, uint32_t *index)
{
    size_t length = strlen(word);
    size_t digits = digits_at_end(word, length);
    size_t name = length - digits;
    uint64_t number = 0;

    if (digits > 0 && name > 0 && word[name - 1] == '.') {
        if (parse_u64(word + name, digits, &number) != 0 || number > UINT32_MAX)
            return -EINVAL;
        name--;
    } else {
        name = length;
    }
    if (name == 0)
        return -EINVAL;
    *name_length = name;
    *index = (uint32_t)number;
    return 0;
}
