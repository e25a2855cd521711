/* SPDX-License-Identifier: MIT */
/* Any sequence of faults and copies in a guest's RAM, with a hole or without, against a model of
 * its pages: what is RAM is what the layout says, a copy is whole or nothing, rights hold, pages
 * come zeroed and are counted, and all go back. The sources are included, so that physical address
 * 0 is the first byte of an arena that holds more than what lies below the hole. */
#include "tests/fuzz/input.h"

#include <sys/mman.h>

static uint8_t *arena;

#undef DIRECT_MAP_BASE
#define DIRECT_MAP_BASE ((uint64_t)(uintptr_t)arena)
#include "kernel/mm/frames.c"
#include "kernel/mm/frame_pool.c"
#include "vmx/ept.c"
#include "kernel/vm/guest_memory.c"

#define ARENA_SIZE  (5 * GIB)
#define PAGES_MAX   192           /* of the model: that were ever written or brought in */
#define COPY_MAX    (3 * PAGE_SIZE)
#define EAGER_PAGES 64            /* guests of so many pages may be mapped as a whole */

_Noreturn void panic(const char *format, ...)
{
    fprintf(stderr, "panic: %s\n", format);
    abort();
}

static struct guest_memory memory;
static uint64_t low, high; /* bytes of RAM below the hole and above it */
static uint8_t rights;
static struct guest_region regions[4];
static uint32_t region_count;

static struct page {
    uint64_t address;
    uint8_t bytes[PAGE_SIZE];
} pages[PAGES_MAX];
static size_t page_count;
static bool everything; /* is present */

static bool is_ram(uint64_t at, uint64_t length)
{
    unsigned __int128 end = (unsigned __int128)at + length;

    return end <= low || (at >= GUEST_HOLE_END && end <= GUEST_HOLE_END + high);
}

static uint8_t rights_of(uint64_t at)
{
    uint8_t access = 0;

    for (uint32_t i = 0; i < region_count; i++)
        access |= at >= regions[i].start && at < regions[i].end ? regions[i].access : 0;
    return access ? access : rights;
}

static struct page *find_page(uint64_t at)
{
    for (size_t i = 0; i < page_count; i++) {
        if (pages[i].address == ALIGN_DOWN(at, PAGE_SIZE))
            return &pages[i];
    }
    return NULL;
}

static struct page *bring_in(uint64_t at)
{
    struct page *page = find_page(at);

    if (page)
        return page;
    require(page_count < PAGES_MAX, "more pages than steps need");
    page = &pages[page_count++];
    memset(page, 0, sizeof(*page));
    page->address = ALIGN_DOWN(at, PAGE_SIZE);
    return page;
}

/* Around all borders, and beyond everything. */
static uint64_t take_address(struct input *input)
{
    const uint64_t bases[] = {0, 0, low, GUEST_HOLE_START, GUEST_HOLE_END, GUEST_HOLE_END + high,
                              BIT(48), 0};
    uint64_t base = bases[draw(input, 1) % ARRAY_SIZE(bases)];

    return base + (uint64_t)((int64_t)(int16_t)draw(input, 2));
}

static void check_fault(struct input *input)
{
    uint64_t at = take_address(input);
    uint8_t access = draw(input, 1) & EPT_RWX;
    int wanted = !is_ram(at, 1) ? -EFAULT : access & ~rights_of(at) ? -EACCES : 0;

    require(guest_memory_fault(&memory, GPA(at), access) == wanted, "a fault");
    if (wanted == 0)
        bring_in(at);
}

static uint64_t part_of(uint64_t at, uint64_t length)
{
    return MIN(PAGE_SIZE - (at & PAGE_MASK), length);
}

static bool may_write(uint64_t at, uint64_t length)
{
    for (; length > 0; length -= part_of(at, length), at = ALIGN_DOWN(at, PAGE_SIZE) + PAGE_SIZE) {
        if (!(rights_of(at) & EPT_WRITE))
            return false;
    }
    return true;
}

static void check_write(struct input *input, bool load)
{
    static uint8_t bytes[COPY_MAX];
    uint64_t at = take_address(input), length = draw(input, 2) % (COPY_MAX + 1);

    memset(bytes, (int)draw(input, 1), length);
    bool good = is_ram(at, length) && (load || may_write(at, length));
    int result = load ? guest_load_bytes(&memory, GPA(at), bytes, length)
                      : guest_write(&memory, GPA(at), bytes, length);
    require(result == (good ? 0 : -EFAULT), "a write");
    for (uint64_t done = 0, part; good && done < length; done += part) {
        part = part_of(at + done, length - done);
        memcpy(bring_in(at + done)->bytes + ((at + done) & PAGE_MASK), bytes + done, part);
    }
}

static void check_read(struct input *input)
{
    uint64_t at = take_address(input), length = draw(input, 2) % (COPY_MAX + 1);
    static uint8_t wanted[COPY_MAX];
    uint8_t *bytes = malloc(length + 1); /* of its size: a byte too far is seen */

    require(bytes, "memory");
    memset(bytes, 0xee, length);
    memset(wanted, 0xee, length);
    int result = guest_read(&memory, GPA(at), bytes, length);
    require(result == (is_ram(at, length) ? 0 : -EFAULT), "a read");
    for (uint64_t done = 0, part; result == 0 && done < length; done += part) {
        const struct page *page = find_page(at + done);
        part = part_of(at + done, length - done);
        memset(wanted + done, 0, part);
        if (page)
            memcpy(wanted + done, page->bytes + ((at + done) & PAGE_MASK), part);
    }
    require(memcmp(bytes, wanted, length) == 0, "other bytes are read");
    free(bytes);
}

static void check_reach(struct input *input)
{
    uint64_t at = take_address(input), length = 1 + draw(input, 1);
    uint8_t access = (uint8_t)(1 + draw(input, 1) % EPT_RWX);
    bool present = is_ram(at, 1) && (everything || find_page(at));
    bool wanted = (at & PAGE_MASK) + length <= PAGE_SIZE && present && !(access & ~rights_of(at));

    const uint8_t *bytes = guest_reach(&memory, GPA(at), length, access);
    require((bytes != NULL) == wanted, "reached or not");
    const struct page *page = find_page(at);
    if (bytes && page)
        require(memcmp(bytes, page->bytes + (at & PAGE_MASK), length) == 0, "another page");
}

static void check_range(struct input *input)
{
    uint64_t at = take_address(input), length = take_address(input);

    if (draw(input, 1) & 1)
        at = draw(input, 8);
    require(guest_range_ok(&memory, GPA(at), length) == is_ram(at, length), "RAM or not");
}

static void map_all(void)
{
    if (low + high > EAGER_PAGES * PAGE_SIZE)
        return;
    guest_memory_map_all(&memory);
    everything = true;
}

static void take_regions(struct input *input)
{
    uint64_t start = 0;

    region_count = (uint32_t)draw(input, 1) % (ARRAY_SIZE(regions) + 1);
    for (uint32_t i = 0; i < region_count; i++) {
        static const uint8_t accesses[] = {EPT_READ, EPT_RW, EPT_RX, EPT_RWX};
        uint8_t how = (uint8_t)draw(input, 1);
        start += (how & 3) * PAGE_SIZE;
        regions[i] = (struct guest_region){start, start + (1 + (how >> 2 & 3)) * PAGE_SIZE,
                                           accesses[how >> 6]};
    }
    rights = region_count && draw(input, 1) & 1 ? EPT_RW : EPT_RWX;
    require(guest_memory_set_regions(&memory, regions, region_count, rights) == 0, "regions");
}

static void start(struct input *input)
{
    static const unsigned orders[] = {FRAME_ORDER_4K, FRAME_ORDER_2M, FRAME_ORDER_1G};
    static uint8_t metadata[ARENA_SIZE / PAGE_SIZE];
    uint8_t how = (uint8_t)draw(input, 1);
    uint64_t size = (1 + draw(input, 1)) * PAGE_SIZE + (how & 1 ? GUEST_HOLE_START : 0);

    if (!arena)
        arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    require(arena != MAP_FAILED, "no memory for the arena");
    frames_init(metadata, HPA(ARENA_SIZE));
    frames_add(HPA(0), HPA(ARENA_SIZE));
    low = how & 2 ? size : MIN(size, GUEST_HOLE_START);
    high = size - low;
    page_count = 0;
    everything = false;
    require(guest_memory_create(&memory, size, how & 2 ? GUEST_FLAT : GUEST_WITH_HOLE,
                                orders[(how >> 2) % 3], 0) == 0,
            "a guest's RAM");
    take_regions(input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};

    start(&input);
    while (input.left > 0 && page_count + 8 < PAGES_MAX) {
        switch (draw(&input, 1) % 8) {
        case 0: check_fault(&input); break;
        case 1:
        case 2: check_write(&input, false); break;
        case 3: check_write(&input, true); break;
        case 4: check_read(&input); break;
        case 5: check_reach(&input); break;
        case 6: check_range(&input); break;
        case 7: map_all(); break;
        }
        uint64_t present = everything ? (low + high) / PAGE_SIZE : page_count;
        require(memory.present == present, "the count of pages");
        require(guest_memory_overhead(&memory) == memory.ept.table_count, "what it takes beside");
    }
    guest_memory_destroy(&memory);
    require(frames_available_count() == frames_total_count(), "frames are lost");
    return 0;
}
