/* SPDX-License-Identifier: MIT */
/* Any bytes as a command line: its words are pieces of it that come back when they are quoted and
 * split again, and what is read as a number or a vCPU is what the word says. */
#include "tests/fuzz/require.h"

#include <linux/errno.h>
#include <string.h>

#include "kernel/monitor/words.h"

/* Behind a suffix: the number before it, shifted without a loss. */
static void check_suffix(const char *word, uint64_t number)
{
    static const char suffixes[] = "KMG";
    size_t length = strlen(word) - 1;
    const char *suffix = strchr(suffixes, word[length]);
    uint64_t before = 0;

    if (!suffix)
        return;
    char *digits = strndup(word, length);
    unsigned shift = 10 * (unsigned)(suffix - suffixes + 1);
    require(digits, "memory");
    require(words_number(digits, &before) == 0, "number: none before its suffix");
    require(number >> shift == before && before << shift == number, "number: lost bits");
    free(digits);
}

static void check_number(const char *word)
{
    char text[24];
    uint64_t number = 0, again = 0;
    int result = words_number(word, &number);

    require(result == 0 || result == -EINVAL || result == -ERANGE, "number: a result of its own");
    if (result != 0)
        return;
    snprintf(text, sizeof(text), "%lu", number);
    require(words_number(text, &again) == 0 && again == number, "number: not the same again");
    check_suffix(word, number);
    require(strspn(word, "0123456789abcdefABCDEFxXKMG") == strlen(word),
            "number: of other letters");
}

static void check_vcpu(const char *word)
{
    char text[16];
    size_t name_length = 0;
    uint32_t index = 0;
    int result = words_vcpu(word, &name_length, &index);

    require(result == 0 || result == -EINVAL, "vCPU: a result of its own");
    if (result != 0)
        return;
    require(name_length > 0 && name_length <= strlen(word), "vCPU: the length of its VM's name");
    if (word[name_length] == '\0') {
        require(index == 0, "vCPU: a number that is not there");
        return;
    }
    const char *digits = word + name_length + 1;
    snprintf(text, sizeof(text), "%u", index);
    require(word[name_length] == '.' && *digits, "vCPU: a name without its end");
    while (digits[0] == '0' && digits[1])
        digits++;
    require(strcmp(digits, text) == 0, "vCPU: another number");
}

/* Each word stands in the line, behind the one before. */
static void check_places(const char *line, size_t size, const char *const *words, int count)
{
    const char *end = line;

    for (int i = 0; i < count; i++) {
        require(words[i] >= end && words[i] < line + size, "words: not in their line");
        end = words[i] + strlen(words[i]) + 1;
        require(end <= line + size, "words: behind the end of the line");
        require(!strchr(words[i], '"'), "words: a quote");
    }
}

static void check_again(const char *const *words, int count, size_t size)
{
    const char *again[WORDS_MAX];
    bool json;
    char *line = malloc(size + 3 * WORDS_MAX + 1);
    size_t length = 0;

    require(line, "memory");
    line[0] = '\0';
    for (int i = 0; i < count; i++)
        length += (size_t)sprintf(line + length, "\"%s\" ", words[i]);
    require(words_split(line, again, &json) == count && !json, "words: other ones when quoted");
    for (int i = 0; i < count; i++)
        require(strcmp(again[i], words[i]) == 0, "words: another one when quoted");
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *words[WORDS_MAX];
    bool json;
    char *line = malloc(size + 1);

    require(line, "memory");
    memcpy(line, data, size);
    line[size] = '\0';
    check_number(line);
    check_vcpu(line);
    int count = words_split(line, words, &json);
    require((count >= 0 && count <= WORDS_MAX) || count == -E2BIG || count == -EINVAL,
            "words: a result of its own");
    if (count >= 0) {
        check_places(line, size + 1, words, count);
        check_again(words, count, size);
    }
    for (int i = 0; i < count; i++) {
        check_number(words[i]);
        check_vcpu(words[i]);
    }
    free(line);
    return 0;
}
