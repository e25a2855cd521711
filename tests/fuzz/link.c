/* SPDX-License-Identifier: MIT */
/* Any sequence of starts, deaths, rings and questions of VMs that share pages: a link's pages are
 * in the EPTs of those that live and name it, with their rights, and in no other; a doorbell
 * reaches whom it should and never a dead VM; all of it against a plain table. An input is the VMs'
 * links, then steps of three bytes. */
#define ARENA_SIZE (256 * PAGE_SIZE)
#include "tests/fuzz/arena.h"

#include "kernel/vm/link.c"

#define VMS   4
#define LINKS 3

static struct vm guests[VMS];
static struct vcpu vcpus[VMS][2];
static struct link_config lines[VMS][LINKS];

/* The model: a VM's place in a link. */
static struct place {
    bool named, writable, alive, gone;
    uint32_t slot, number, generation, vector, vcpu;
    uint64_t rung;
} places[VMS][LINKS];
static uint32_t pages_of[LINKS], peers_of[LINKS];
static unsigned posts[VMS], wanted_posts[VMS];
static bool lives[VMS];

uint32_t exits_watched; /* nothing is traced */

void trace_doorbell(const struct vm *from, const struct vm *to)
{
    (void)from;
    (void)to;
}

void interrupts_post(struct vcpu *vcpu, uint8_t vector)
{
    require(lives[vcpu->vm->id] && vector >= 32, "an interrupt for the dead");
    posts[vcpu->vm->id]++;
}

void sched_post(struct vcpu *vcpu, uint32_t requests)
{
    require(lives[vcpu->vm->id] && requests == REQUEST_LOOK, "a request to the dead");
}

/* ---- The model ------------------------------------------------------------------------------- */

static void model_notify(unsigned link, unsigned from, unsigned to)
{
    struct place *place = &places[to][link];

    if (from == to || !place->named || !place->alive)
        return;
    place->rung |= 1ull << places[from][link].number;
    wanted_posts[to] += place->vector != 0;
}

static void model_notify_all(unsigned link, unsigned from)
{
    for (unsigned to = 0; to < VMS; to++)
        model_notify(link, from, to);
}

/* The VM whose number in the link that is, or VMS. */
static unsigned vm_at(unsigned link, uint64_t number)
{
    for (unsigned vm = 0; vm < VMS; vm++) {
        if (places[vm][link].named && places[vm][link].number == number)
            return vm;
    }
    return VMS;
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static void join(unsigned id, struct input *input)
{
    struct vm *vm = &guests[id];
    char error[MODULE_LINE_ERROR_MAX] = "";
    uint8_t which = (uint8_t)draw(input, 1), how = (uint8_t)draw(input, 1);
    uint32_t pages = how & 3;
    bool fits = true;

    for (unsigned link = 0; link < LINKS; link++) {
        if (!(which >> link & 1))
            continue;
        struct link_config *config = &lines[id][vm->config.link_count];
        config->name[0] = (char)('a' + link);
        config->pages = pages;
        config->read_only = how >> (4 + link) & 1;
        fits = fits && (peers_of[link] == 0 || pages == 0 || pages == pages_of[link]);
        places[id][link] = (struct place){
            .named = true, .writable = !config->read_only, .slot = vm->config.link_count++,
            .number = peers_of[link],
        };
    }
    require(links_join(vm, error) == (fits ? 0 : -EINVAL), "joined or not");
    require_line(error, sizeof(error));
    require(fits == !error[0], "an error without words, or words without one");
    for (unsigned link = 0; link < LINKS; link++) {
        struct place *place = &places[id][link];
        place->named = place->named && fits;
        if (!place->named)
            continue;
        if (peers_of[link]++ == 0)
            pages_of[link] = MAX(pages, 1u);
    }
    if (!fits)
        vm->config.link_count = 0;
}

static void enter(unsigned id)
{
    if (lives[id])
        return;
    require(guest_memory_create(&guests[id].memory, PAGE_SIZE, GUEST_WITH_HOLE, FRAME_ORDER_4K,
                                8) == 0,
            "a guest's RAM");
    lives[id] = true;
    require(links_enter(&guests[id]) == 0, "entered");
    for (unsigned link = 0; link < LINKS; link++) {
        struct place *place = &places[id][link];
        if (!place->named)
            continue;
        place->alive = true;
        place->gone = false;
        place->vector = 0;
        place->rung = 0;
        place->generation++;
        model_notify_all(link, id);
    }
}

static void leave(unsigned id, bool for_good)
{
    if (lives[id]) {
        links_leave(&guests[id]);
        for (unsigned link = 0; link < LINKS; link++) {
            places[id][link].alive = false;
            places[id][link].vector = 0;
            if (places[id][link].named)
                model_notify_all(link, id);
        }
        lives[id] = false;
        guest_memory_destroy(&guests[id].memory);
    }
    if (!for_good)
        return;
    links_give_up(&guests[id]);
    for (unsigned link = 0; link < LINKS; link++)
        places[id][link].gone = true;
}

static void ring(unsigned id, unsigned link, uint64_t number)
{
    struct place *place = &places[id][link];
    unsigned to = vm_at(link, number);
    int64_t wanted = 0;

    if (!place->named) {
        require(link_ring(&guests[id], guests[id].config.link_count + number, 0) == -ENOENT,
                "no link");
        return;
    }
    if (number == 7)
        number = ATOLL_LINK_ALL;
    else if (to == VMS || places[to][link].generation == 0)
        wanted = -EINVAL;
    else if (!places[to][link].alive)
        wanted = -EPIPE;
    require(link_ring(&guests[id], place->slot, number) == wanted, "a ring");
    if (number == ATOLL_LINK_ALL)
        model_notify_all(link, id);
    else if (wanted == 0)
        model_notify(link, id, to);
}

static void poll(unsigned id, unsigned link)
{
    struct place *place = &places[id][link];

    if (!place->named)
        return;
    require(link_poll(&guests[id], place->slot) == (int64_t)place->rung, "who rang");
    place->rung = 0;
}

static void set_vector(unsigned id, unsigned link, uint64_t number)
{
    struct place *place = &places[id][link];
    uint64_t vector = number * 5;
    bool good = vector == 0 || (vector >= 32 && vector < 256);

    if (!place->named)
        return;
    place->vcpu = number & 1;
    require(link_set_vector(&vcpus[id][number & 1], place->slot, vector) == (good ? 0 : -EINVAL),
            "a vector");
    if (good)
        place->vector = (uint32_t)vector;
}

static void info(unsigned id, unsigned link, uint64_t number)
{
    struct place *place = &places[id][link];
    static struct atoll_link_info got;
    uint64_t size = number < 200 ? number * 16 : UINT64_MAX, at = PAGE_SIZE - number * 16 % 512;
    uint64_t length = MIN(size, sizeof(got));
    bool fits = at + length <= PAGE_SIZE;

    if (!place->named)
        return;
    int64_t result = link_info(&guests[id], place->slot, GPA(at), size);
    require(result == (fits ? (int64_t)length : -EFAULT), "the length of the description");
    at = 0;
    length = MIN(sizeof(got), PAGE_SIZE);
    if (link_info(&guests[id], place->slot, GPA(at), length) != (int64_t)length)
        require(false, "the description");
    require(guest_read(&guests[id].memory, GPA(at), &got, length) == 0, "to read RAM");
    require(got.self == place->number && got.peers == peers_of[link] &&
                got.pages == pages_of[link] && got.writable == place->writable,
            "the description");
    for (unsigned n = 0; n < peers_of[link]; n++) {
        unsigned peer = vm_at(link, n);
        require(got.peer[n].vm == peer && got.peer[n].alive == places[peer][link].alive &&
                    got.peer[n].generation == places[peer][link].generation,
                "the description of a peer");
    }
}

/* ---- What must hold -------------------------------------------------------------------------- */

static void check_page(unsigned id, unsigned link, uint32_t page)
{
    const struct place *place = &places[id][link];
    const struct link_place *own = &guests[id].links[place->slot];
    struct ept_leaf leaf;
    uint64_t at = ATOLL_LINK_BASE + place->slot * ATOLL_LINK_STRIDE + page * PAGE_SIZE;
    bool mapped = ept_walk(&guests[id].memory.ept, GPA(at), &leaf) == 0;

    require(mapped == (page < pages_of[link]), "a page that is mapped or not");
    if (mapped)
        require(leaf.address.value == own->link->memory.value + page * PAGE_SIZE &&
                    leaf.access == (place->writable ? EPT_RW : EPT_READ),
                "another page, or other rights");
}

static void count_leaf(gpa_t guest, const struct ept_leaf *leaf, void *context)
{
    (void)leaf;
    *(uint32_t *)context += guest.value >= ATOLL_LINK_BASE;
}

static void check_vm(unsigned id)
{
    uint32_t leaves = 0, wanted = 0;
    bool can_wake = false;

    require(posts[id] == wanted_posts[id], "interrupts");
    for (unsigned link = 0; link < LINKS; link++) {
        const struct place *place = &places[id][link];
        struct link_peer_view view;
        if (!place->named)
            continue;
        require(link_look_at_peer(guests[id].links[place->slot].link, place->number, &view),
                "a peer");
        require(view.alive == place->alive && view.gone == place->gone &&
                    view.generation == place->generation && view.vector == place->vector &&
                    view.pending == (uint32_t)__builtin_popcountll(place->rung),
                "a peer's view");
        wanted += pages_of[link];
        for (uint32_t page = 0; lives[id] && page < 4; page++)
            check_page(id, link, page);
        for (unsigned other = 0; other < VMS; other++)
            can_wake |= place->vector && other != id && places[other][link].named &&
                        !places[other][link].gone;
    }
    if (!lives[id])
        return;
    ept_for_each(&guests[id].memory.ept, count_leaf, &leaves);
    require(leaves == wanted, "pages of another link");
    require(links_can_wake(&guests[id]) == can_wake, "who can wake it");
}

static void start(void)
{
    arena_start();
    STAILQ_INIT(&links);
    memset(guests, 0, sizeof(guests));
    memset(lines, 0, sizeof(lines));
    memset(places, 0, sizeof(places));
    memset(peers_of, 0, sizeof(peers_of));
    memset(posts, 0, sizeof(posts));
    memset(wanted_posts, 0, sizeof(wanted_posts));
    for (unsigned id = 0; id < VMS; id++) {
        lives[id] = false;
        guests[id].id = id;
        guests[id].config.vcpus = 2;
        guests[id].config.links = lines[id];
        for (unsigned i = 0; i < 2; i++) {
            vcpus[id][i].vm = &guests[id];
            guests[id].vcpus[i] = &vcpus[id][i];
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};

    start();
    for (unsigned id = 0; id < VMS; id++)
        join(id, &input);
    uint64_t frames = frames_available_count();
    while (input.left > 0) {
        uint8_t what = (uint8_t)draw(&input, 1), where = (uint8_t)draw(&input, 1);
        uint64_t number = draw(&input, 1);
        unsigned id = where % VMS, link = (where >> 2) % LINKS;
        if (what % 8 == 0)
            leave(id, number & 1);
        else if (what % 8 == 1 || !lives[id])
            enter(id);
        else if (what % 8 <= 3)
            ring(id, link, number % 8);
        else if (what % 8 == 4)
            poll(id, link);
        else if (what % 8 == 5)
            set_vector(id, link, number);
        else
            info(id, link, number);
        for (unsigned vm = 0; vm < VMS; vm++) {
            if (vm == id || input.left % 4 == 0)
                check_vm(vm);
        }
    }
    for (unsigned id = 0; id < VMS; id++)
        leave(id, true);
    require(frames_available_count() == frames, "frames are lost");
    return 0;
}
