/* SPDX-License-Identifier: MIT */
/* Any registers at a call of the guest ABI: the result and what changes in memory depend on the
 * documented registers alone, nothing but the call's own range changes, what is written is written
 * whole, and an unknown call is -ENOSYS. What the calls ask of the hypervisor stands in plain
 * models here, but for the guest's memory. An input is a word about the guest, and registers. */
#define ARENA_SIZE (64 * PAGE_SIZE)
#include "tests/fuzz/arena.h"

#define KERNEL_LIB_X86_H /* the processor's instructions are the model's */
static uint64_t rdtsc(void)
{
    return 1000;
}

static uint32_t cpu_index(void)
{
    return 0;
}

#include "kernel/vm/hypercall.c"
#include "kernel/vm/hypercall_names.h"

#define RAM       (4 * PAGE_SIZE)
#define ROM_START (2 * PAGE_SIZE) /* a page that the guest cannot write */
#define READ_SIZE 100u            /* what a console, a port or a link has for it */

static struct {
    struct vm vm, other;
    struct vcpu vcpu, second;
    struct device devices[2];
    struct frame_pool pool;
    struct spinlock lock;
    bool busy, stopped;
    uint8_t detail;
} model;

static uint8_t disk_image[2 * PAGE_SIZE];

/* ---- What lies beside ------------------------------------------------------------------------ */

static int64_t give(struct guest_memory *memory, uint64_t address, uint64_t size)
{
    static uint8_t bytes[READ_SIZE];
    uint64_t length = MIN(size, sizeof(bytes));

    memset(bytes, 'g', sizeof(bytes));
    return guest_write(memory, GPA(address), bytes, length) ? -EFAULT : (int64_t)length;
}

void console_write(struct vm *vm, const char *text, size_t size)
{
    char copy[CONSOLE_CHUNK];

    require(vm == &model.vm && size <= sizeof(copy), "a piece that is too long");
    memcpy(copy, text, size);
}

size_t console_read(struct vm *vm, char *bytes, size_t size)
{
    (void)vm;
    memset(bytes, 'i', size);
    return size;
}

int console_set_vector(struct vcpu *vcpu, uint64_t vector)
{
    (void)vcpu;
    return vector < 256 ? 0 : -EINVAL;
}

uint64_t time_tsc_hz(void)
{
    return 1000000000;
}

uint64_t time_wall_clock_ns(void)
{
    return model.detail & 1 ? 0 : 1767225600000000000;
}

uint64_t time_ns_to_ticks(uint64_t ns)
{
    return ns;
}

void sched_wait_until(struct vcpu *vcpu, uint64_t tsc)
{
    require(vcpu == &model.vcpu && tsc > 1000, "a sleep in the past");
}

void sched_post(struct vcpu *vcpu, uint32_t requests)
{
    require(vcpu == &model.second && requests == REQUEST_START, "another request");
}

bool sched_leave_core(struct vcpu *vcpu)
{
    (void)vcpu;
    return true;
}

struct vm *vm_by_id(uint64_t id)
{
    return id == 0 ? &model.vm : id == 1 ? &model.other : NULL;
}

static int operate(struct vm *vm)
{
    require(model.vm.config.control, "an operation without the right");
    require(vm == &model.vm || vm == &model.other, "an operation on another VM");
    return model.busy ? -EAGAIN : 0;
}

int vm_pause(struct vm *vm)
{
    require(vm != &model.vm, "who pauses itself");
    return operate(vm);
}

int vm_resume(struct vm *vm)
{
    return operate(vm);
}

int vm_end(struct vm *vm)
{
    return operate(vm);
}

int vm_start(struct vm *vm)
{
    return operate(vm);
}

uint64_t vm_run_ticks(const struct vm *vm)
{
    return vm->id;
}

const char *stop_reason_name(enum stop_reason reason)
{
    (void)reason;
    return "GUEST_EXIT";
}

void vm_stop(struct vcpu *vcpu, enum stop_reason reason, const struct vm_exit *exit,
             const char *format, ...)
{
    (void)format;
    require(vcpu == &model.vcpu && !exit && !model.stopped, "stopped twice");
    require(reason == STOP_GUEST_EXIT || reason == STOP_BAD_HYPERCALL, "another reason");
    model.stopped = true;
}

bool signals_enabled(void)
{
    return model.detail & 2;
}

int64_t faults_request(struct vcpu *self, uint64_t fault, uint64_t detail)
{
    (void)self, (void)fault, (void)detail;
    return -ENOSYS;
}

int64_t signals_request(uint64_t probe)
{
    (void)probe;
    return -EPERM;
}

struct device *device_at(const struct vm *vm, uint64_t number, enum device_kind kind)
{
    (void)vm;
    return number < 2 && model.devices[number].config.kind == kind ? &model.devices[number] : NULL;
}

int64_t device_info(struct vm *vm, uint64_t number, gpa_t address, uint64_t size)
{
    return number < 2 ? give(&vm->memory, address.value, size) : -ENOENT;
}

int port_send(struct port *port, const struct guest_memory *memory, gpa_t frame, uint64_t length)
{
    static uint8_t bytes[READ_SIZE];

    (void)port;
    return length > sizeof(bytes) ? -EINVAL : guest_read(memory, frame, bytes, length);
}

int64_t port_receive(struct port *port, struct guest_memory *memory, gpa_t buffer, uint64_t size)
{
    (void)port;
    return give(memory, buffer.value, size);
}

int port_set_vector(struct port *port, struct vcpu *vcpu, uint64_t vector)
{
    (void)port;
    (void)vcpu;
    return vector < 256 ? 0 : -EINVAL;
}

int64_t link_info(struct vm *vm, uint64_t number, gpa_t address, uint64_t size)
{
    return number < 2 ? give(&vm->memory, address.value, size) : -ENOENT;
}

int64_t link_set_vector(struct vcpu *vcpu, uint64_t number, uint64_t vector)
{
    (void)vcpu;
    return number < 2 && vector < 256 ? 0 : -EINVAL;
}

int64_t link_ring(struct vm *vm, uint64_t number, uint64_t peer)
{
    (void)vm;
    return number < 2 && peer < 2 ? 0 : -EINVAL;
}

int64_t link_poll(struct vm *vm, uint64_t number)
{
    (void)vm;
    return number < 2 ? 1 : -ENOENT;
}

/* ---- The guest ------------------------------------------------------------------------------- */

/* The registers that a call has as arguments, in their order. */
static const unsigned arguments[] = {VMX_RDI, VMX_RSI, VMX_RDX, VMX_R10};

static unsigned argument_count(uint64_t number)
{
    static const uint8_t counts[] = {
        [ATOLL_CALL_CONSOLE_WRITE] = 2,  [ATOLL_CALL_EXIT] = 1,
        [ATOLL_CALL_SLEEP_UNTIL] = 1,    [ATOLL_CALL_SLEEP_FOR] = 1,
        [ATOLL_CALL_VM_INFO] = 2,        [ATOLL_CALL_PROBE] = 1,
        [ATOLL_CALL_START_VCPU] = 3,     [ATOLL_CALL_LINK_INFO] = 3,
        [ATOLL_CALL_LINK_VECTOR] = 2,    [ATOLL_CALL_LINK_RING] = 2,
        [ATOLL_CALL_LINK_POLL] = 1,      [ATOLL_CALL_CONTROL] = 2,
        [ATOLL_CALL_VM_STATE] = 3,       [ATOLL_CALL_CONSOLE_READ] = 2,
        [ATOLL_CALL_CONSOLE_VECTOR] = 1, [ATOLL_CALL_DEVICE_INFO] = 3,
        [ATOLL_CALL_BLOCK_READ] = 4,     [ATOLL_CALL_BLOCK_WRITE] = 4,
        [ATOLL_CALL_NET_READ] = 3,       [ATOLL_CALL_NET_WRITE] = 3,
        [ATOLL_CALL_NET_VECTOR] = 2,
    };
    return number < ARRAY_SIZE(counts) ? counts[number] : 0;
}

static void start(uint16_t about, uint8_t pattern)
{
    static const struct guest_region rom = {ROM_START, ROM_START + PAGE_SIZE, EPT_READ};
    static uint8_t page[PAGE_SIZE];

    arena_start();
    memset(&model, 0, sizeof(model));
    model.vcpu.vm = model.second.vm = &model.vm;
    model.vm.vcpus[0] = &model.vcpu;
    model.vm.vcpus[1] = &model.second;
    model.vm.state = VM_ALIVE;
    model.vcpu.state = VCPU_RUNNABLE;
    model.second.state = about & 1 ? VCPU_CREATED : VCPU_RUNNABLE;
    model.vm.config.vcpus = 2;
    model.vm.config.control = about & 2;
    model.other.id = 1;
    model.other.state = about & 4 ? VM_REFUSED : VM_ALIVE;
    model.busy = about & 8;
    model.other.lock = (struct spinlock){0};
    if (about & 16)
        spin_lock(&model.other.lock);
    model.detail = (uint8_t)(about >> 8);
    require(guest_memory_create(&model.vm.memory, RAM, GUEST_WITH_HOLE, FRAME_ORDER_4K, 0) == 0 &&
                guest_memory_set_regions(&model.vm.memory, &rom, 1, EPT_RWX) == 0,
            "a guest's RAM");
    memset(page, pattern, sizeof(page));
    for (uint64_t at = 0; at < RAM; at += PAGE_SIZE)
        require(guest_load_bytes(&model.vm.memory, GPA(at), page, PAGE_SIZE) == 0, "to fill RAM");
    model.devices[0] = (struct device){
        .config.kind = DEVICE_BLOCK,
        .block = {.image = disk_image,
                  .capacity = sizeof(disk_image),
                  .block_size = 512,
                  .read_only = about & 32},
    };
    model.devices[1].config.kind = DEVICE_NET;
    struct block *block = &model.devices[0].block;
    require(frame_pool_create(&model.pool, block_frames(block)) == 0 &&
                block_start(block, &model.pool, &model.lock) == 0,
            "a disk");
}

static void stop(void)
{
    block_stop(&model.devices[0].block);
    frame_pool_destroy(&model.pool);
    guest_memory_destroy(&model.vm.memory);
    arena_end();
}

struct outcome {
    enum exit_action action;
    uint64_t result;
    uint8_t ram[RAM];
};

/* The call in a guest whose RAM is full of `pattern`. */
static void call(uint16_t about, const uint64_t gpr[VMX_REGISTERS], uint8_t pattern,
                 struct outcome *outcome)
{
    start(about, pattern);
    memcpy(model.vcpu.vmx.gpr, gpr, sizeof(model.vcpu.vmx.gpr));
    outcome->action = hypercall_handle(&model.vcpu);
    outcome->result = model.vcpu.vmx.gpr[VMX_RAX];
    require((outcome->action == ACTION_STOP) == model.stopped, "stopped or not");
    for (unsigned i = 0; i < VMX_REGISTERS; i++)
        require(i == VMX_RAX || model.vcpu.vmx.gpr[i] == gpr[i], "another register changes");
    require(guest_read(&model.vm.memory, GPA(0), outcome->ram, RAM) == 0, "to read RAM");
    stop();
}

/* Where the call may write: as many bytes as it returns, from its address on, which are no more
 * than there is room for. */
static uint64_t written_at(const uint64_t gpr[VMX_REGISTERS], uint64_t result, uint64_t *length)
{
    uint64_t room, at;

    *length = (int64_t)result > 0 ? result : 0;
    switch (gpr[VMX_RAX]) {
    case ATOLL_CALL_VM_INFO:
    case ATOLL_CALL_CONSOLE_READ:
        at = gpr[VMX_RDI];
        room = gpr[VMX_RSI];
        break;
    case ATOLL_CALL_VM_STATE:
    case ATOLL_CALL_LINK_INFO:
    case ATOLL_CALL_DEVICE_INFO:
    case ATOLL_CALL_NET_READ:
        at = gpr[VMX_RSI];
        room = gpr[VMX_RDX];
        break;
    case ATOLL_CALL_BLOCK_READ: /* which returns 0, or may have done a part */
        at = gpr[VMX_RDX];
        room = gpr[VMX_R10];
        *length = room <= sizeof(disk_image) ? room : 0;
        break;
    default:
        at = room = *length = 0;
    }
    require(*length <= room, "more than there is room for");
    return at;
}

static void check_memory(const uint64_t gpr[VMX_REGISTERS], const struct outcome *one,
                         const struct outcome *other)
{
    uint64_t result = one->action == ACTION_RETRY ? 0 : one->result; /* RAX is the call again */
    uint64_t length, at = written_at(gpr, result, &length);
    bool whole = gpr[VMX_RAX] != ATOLL_CALL_BLOCK_READ || one->result == 0;

    for (uint64_t i = 0; i < RAM; i++) {
        if (i - at >= length) {
            require(one->ram[i] == 0x5a && other->ram[i] == 0xa5, "a byte beside the range");
        } else if (whole) {
            require(i / PAGE_SIZE != ROM_START / PAGE_SIZE, "a byte of a read-only page");
            require(one->ram[i] == other->ram[i], "a byte of the result that was not written");
        }
    }
}

static uint64_t draw_register(struct input *input)
{
    uint8_t how = (uint8_t)draw(input, 1);

    if (how < 128)
        return how & 7; /* a small number */
    uint64_t value = draw(input, how & 1 ? 8 : 3);
    return how & 2 ? ALIGN_DOWN(value, 512) % (2 * RAM) : how & 4 ? value % (2 * RAM) : value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct outcome one, other;
    struct input input = {data, size};
    uint16_t about = (uint16_t)draw(&input, 2);
    uint64_t gpr[VMX_REGISTERS] = {0}, number = draw(&input, 1);

    if (number >= 128)
        number = draw(&input, 8);
    for (unsigned i = 0; i < ARRAY_SIZE(arguments); i++)
        gpr[arguments[i]] = draw_register(&input);
    gpr[VMX_RAX] = number;
    call(about, gpr, 0x5a, &one);
    for (unsigned i = 0; i < VMX_REGISTERS; i++) { /* what is no argument does not count */
        bool counts = i == VMX_RAX;
        for (unsigned a = 0; a < argument_count(number); a++)
            counts |= arguments[a] == i;
        gpr[i] = counts ? gpr[i] : 0x1111111111111111ull * i;
    }
    call(about, gpr, 0xa5, &other);
    require(one.action == other.action, "it depends on other registers");
    if (number == ATOLL_CALL_BLOCK_WRITE || number != gpr[VMX_RAX])
        return 0;
    require(one.result == other.result, "it depends on other registers");
    check_memory(gpr, &one, &other);
    if (!hypercall_name(number))
        require(one.result == (uint64_t)-ENOSYS && one.action == ACTION_RESUME, "unknown");
    require((int64_t)one.result >= -4095, "neither a number nor an error");
    return 0;
}
