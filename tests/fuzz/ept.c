/* SPDX-License-Identifier: MIT */
/* Any sequence of maps, unmaps and changes of rights in an EPT against a dictionary of leaves: the
 * processor's walk finds exactly those, no entry is a misconfiguration, and every table is counted.
 * A step is a byte for the call, one for what is left of memory, and the call's arguments. */
#define ARENA_SIZE (256 * PAGE_SIZE)
#include "tests/fuzz/arena.h"

#define LEAVES_MAX 4096
#include "tests/unit/ept_model.h"

#define GUEST_LIMIT (1ull << 48)
#define LEFT_MANY   8

static struct frame_pool pool;
static struct ept ept;
static struct model model, next;
static void *hoard[ARENA_SIZE / PAGE_SIZE];
static size_t hoarded;

static void copy_model(struct model *to, const struct model *from)
{
    to->count = from->count;
    memcpy(to->leaves, from->leaves, from->count * sizeof(struct leaf));
}

/* Leaves so many frames in the pool, or all of them. */
static void keep_frames(uint64_t left)
{
    while (left < LEFT_MANY && pool.reserved > left)
        hoard[hoarded++] = frame_pool_page(&pool);
}

static void release_frames(void)
{
    while (hoarded > 0)
        frame_pool_free_page(&pool, hoard[--hoarded]);
}

/* Addresses that crowd around the borders of tables; some are none. */
static uint64_t take_guest(struct input *input)
{
    static const uint64_t bases[] = {0, PAGE_SIZE_2M, GIB - PAGE_SIZE_2M, GIB, 511 * GIB,
                                     512 * GIB, GUEST_LIMIT - GIB, GUEST_LIMIT - PAGE_SIZE_2M};
    uint8_t where = (uint8_t)draw(input, 1);

    return bases[where % ARRAY_SIZE(bases)] + (where >> 4) * PAGE_SIZE +
           (where & 8 ? PAGE_SIZE_2M - 16 * PAGE_SIZE : 0);
}

static bool is_access(uint8_t access)
{
    return access != 0 && access <= EPT_RWX && (access & 3) != EPT_WRITE;
}

/* Expects `result` of what turned `model` into `next` with `left` frames free. */
static void require_result(int result, int wanted, uint64_t left)
{
    if (wanted == 0 && model_tables(&next) - model_tables(&model) > left)
        wanted = -ENOMEM;
    require(result == wanted, "a result against the model");
    if (wanted == 0)
        copy_model(&model, &next);
    else
        require(pool.reserved == left, "a failure that took frames");
}

static void map(struct input *input, uint64_t left)
{
    static const unsigned orders[] = {0, 9, 18, 0, 9, 18, 1, 27};
    uint8_t how = (uint8_t)draw(input, 1);
    struct leaf leaf = {.order = orders[how >> 5], .access = how & 7, .type = how & 8 ? 0 : 6};
    uint64_t size = PAGE_SIZE << leaf.order;

    leaf.guest = take_guest(input);
    leaf.host = (draw(input, 4) | 1024) << 20; /* not 0, which would be NULL here */
    if (!(how & 16)) {
        leaf.guest = ALIGN_DOWN(leaf.guest, size);
        leaf.host = ALIGN_DOWN(leaf.host, size);
    }
    bool valid = is_access(leaf.access) && leaf.order % 9 == 0 && leaf.order <= ept.max_order &&
                 leaf.guest % size == 0 && leaf.host % size == 0 && leaf.guest < GUEST_LIMIT;
    int wanted = valid ? model_map(&next, leaf) : -EINVAL;
    int result = ept_map(&ept, GPA(leaf.guest), HPA(leaf.host), leaf.order, leaf.access,
                         (enum ept_memory_type)leaf.type);
    require_result(result, wanted, left);
}

static void unmap(struct input *input)
{
    uint64_t guest = take_guest(input) + draw(input, 1);
    const struct leaf *wanted = model_find(&model, guest);
    struct ept_leaf leaf;

    require(ept_unmap(&ept, GPA(guest), &leaf) == (wanted ? 0 : -ENOENT), "unmapped or not");
    if (!wanted)
        return;
    require(leaf.address.value == wanted->host + (guest - wanted->guest) &&
                leaf.order == wanted->order,
            "another leaf was unmapped");
    model_replace(&model, (size_t)(wanted - model.leaves), 1, 0);
}

static void protect(struct input *input, uint64_t left)
{
    uint8_t access = (uint8_t)draw(input, 1);
    uint64_t start = take_guest(input), size = draw(input, 1) * PAGE_SIZE;

    if (access & 8)
        size *= 128;
    access &= 7;
    int wanted = -EINVAL;
    if (is_access(access) && start < GUEST_LIMIT && size <= GUEST_LIMIT - start)
        wanted = model_protect(&next, start, start + size, access);
    require_result(ept_protect(&ept, GPA(start), size, access), wanted, left);
}

static void check_walk(uint64_t guest)
{
    const struct leaf *wanted = model_find(&model, guest);
    struct ept_step steps[EPT_STEPS_MAX];
    struct ept_leaf leaf;
    unsigned level;

    require(ept_walk(&ept, GPA(guest), &leaf) == (wanted ? 0 : -ENOENT), "mapped or not");
    unsigned count = ept_walk_steps(&ept, GPA(guest), steps);
    for (unsigned i = 0; i < count; i++)
        require(steps[i].kind != EPT_STEP_MISCONFIGURED, "a misconfiguration");
    void *byte = ept_reach(&ept, GPA(guest), EPT_RW);
    require((byte != NULL) == (wanted && (wanted->access & EPT_RW) == EPT_RW), "reached or not");
    if (!wanted)
        return;
    require(leaf.address.value == wanted->host + (guest - wanted->guest) &&
                leaf.order == wanted->order && leaf.access == wanted->access &&
                leaf.memory_type == wanted->type,
            "another leaf");
    require(!byte || byte == phys_to_virt(leaf.address), "another byte is reached");
    require(raw_walk(&ept, guest, &level) == (wanted->host | wanted->access | wanted->type << 3 |
                                              0x40 | (wanted->order > 0 ? 0x80 : 0)),
            "other bits in the entry");
}

static void check_next(gpa_t guest, const struct ept_leaf *leaf, void *context)
{
    size_t *seen = context;

    require(*seen < model.count && model.leaves[*seen].guest == guest.value &&
                model.leaves[*seen].host == leaf->address.value,
            "a leaf that is not in the model");
    ++*seen;
}

static void check_all(void)
{
    size_t seen = 0;

    ept_for_each(&ept, check_next, &seen);
    require(seen == model.count, "leaves of the model that are not there");
    require(ept.table_count == model_tables(&model) && pool.taken == ept.table_count + hoarded,
            "the count of tables");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned max_orders[] = {FRAME_ORDER_1G, FRAME_ORDER_1G, FRAME_ORDER_2M,
                                          FRAME_ORDER_4K};
    struct input input = {data, size};

    arena_start();
    hoarded = 0;
    model.count = 0;
    require(frame_pool_create(&pool, ARENA_SIZE / PAGE_SIZE) == 0, "a pool");
    require(ept_create(&ept, max_orders[draw(&input, 1) % 4], &pool) == 0, "an EPT");
    while (input.left > 0 && model.count < LEAVES_MAX - 3 * 1024) {
        uint8_t call = (uint8_t)draw(&input, 1);
        keep_frames(call >> 4);
        copy_model(&next, &model);
        switch (call % 4) {
        case 0:
        case 1: map(&input, pool.reserved); break;
        case 2: unmap(&input); break;
        case 3: protect(&input, pool.reserved); break;
        }
        check_walk(take_guest(&input) + draw(&input, 1));
        release_frames();
        if ((call & 0xc) == 0)
            check_all();
    }
    check_all();
    ept_destroy(&ept);
    frame_pool_destroy(&pool);
    arena_end();
    return 0;
}
