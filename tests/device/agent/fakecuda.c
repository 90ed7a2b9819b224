/* A stand-in for libcuda.so.1: what edgekd's agent calls of the driver, on this machine's own memory.
 *
 * It writes down every call, counts what is alive, refuses what a driver would refuse (no context in this thread, memory that it never gave out), fails
 * where it is told to, and keeps a clock that copies and kernels move. Kernels and copies that are put into a capturing stream are done when the
 * graph is launched, and not before.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { COPY, KERNEL };
typedef struct op { int kind; void *to; const void *from; size_t size; struct op *next; } op;
typedef struct { int capturing; op *first, *last; } stream;
typedef struct { op *first; } graph;

static char calls[1 << 18];
static size_t used;
static char failing[64];
static int fail_code, fail_after = -1, flags, devices = 1;
static double clock_ms;
static long alive;
static int context; /* its address is the context's handle */
static __thread void *current;
static struct { char *at; size_t size; } gpu[4096];

const char *fake_calls(void) { return calls; }
long fake_alive(void) { return alive; }
int fake_flags(void) { return flags; }
void fake_devices(int count) { devices = count; }
void fake_fail(const char *name, int code, int after) { strncpy(failing, name, sizeof failing - 1); fail_code = code; fail_after = after; }
void fake_reset(void) { used = 0; calls[0] = 0; fail_after = -1; alive = 0; flags = 0; devices = 1; clock_ms = 0; }

static int call(const char *name) {
    size_t size = strlen(name);
    if (used + size + 2 < sizeof calls) { memcpy(calls + used, name, size); used += size; calls[used++] = '\n'; calls[used] = 0; }
    if (fail_after >= 0 && !strcmp(name, failing) && fail_after-- == 0) return fail_code;
    return 0;
}
#define CALL(needs) do { int code = call(__func__); if (code) return code; if ((needs) && !current) return 201; } while (0)

static int given(const char *at, size_t size) {
    for (int i = 0; i < 4096; i++) if (gpu[i].at && at >= gpu[i].at && at + size <= gpu[i].at + gpu[i].size) return 1;
    return 0;
}
static void run(const op *o) {
    if (o->kind == COPY) { memcpy(o->to, o->from, o->size); clock_ms += 0.25; return; }
    const float *in = o->from; float *out = o->to;
    for (size_t i = 0; i < o->size / sizeof(float); i++) out[i] = 2 * in[i] + 1;
    clock_ms += 2;
}
static void put(stream *s, int kind, void *to, const void *from, size_t size) {
    op *o = malloc(sizeof *o);
    *o = (op){kind, to, from, size, NULL};
    if (!s->capturing) { run(o); free(o); return; }
    if (s->last) s->last->next = o; else s->first = o;
    s->last = o;
}

int cuInit(unsigned f) { (void)f; CALL(0); return 0; }
int cuDriverGetVersion(int *v) { CALL(0); *v = 12060; return 0; }
int cuGetErrorString(int code, const char **text) {
    static const struct { int code; const char *text; } known[] = {
        {1, "invalid argument"}, {2, "out of memory"}, {100, "no CUDA-capable device is detected"}, {201, "invalid device context"},
        {900, "operation not permitted when stream is capturing"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) if (known[i].code == code) { *text = known[i].text; return 0; }
    *text = NULL;
    return 1;
}
int cuDeviceGetCount(int *n) { CALL(0); *n = devices; return 0; }
int cuDeviceGet(int *d, int which) { CALL(0); *d = which; return 0; }
int cuDeviceGetName(char *name, int size, int d) { (void)d; CALL(0); strncpy(name, "Fake GPU 8", size); return 0; }
int cuDeviceGetPCIBusId(char *slot, int size, int d) { (void)d; CALL(0); strncpy(slot, "0000:41:00.0", size); return 0; }
int cuDeviceGetAttribute(int *value, int which, int d) { (void)d; CALL(0); *value = which == 75 ? 8 : which == 76 ? 7 : -1; return 0; }
int cuDevicePrimaryCtxSetFlags_v2(int d, unsigned f) { (void)d; CALL(0); flags = (int)f; return 0; }
int cuDevicePrimaryCtxRetain(void **c, int d) { (void)d; CALL(0); *c = &context; alive++; return 0; }
int cuDevicePrimaryCtxRelease_v2(int d) { (void)d; CALL(0); alive--; return 0; }
int cuCtxSetCurrent(void *c) { CALL(0); if (c && c != &context) return 201; current = c; return 0; }
int cuMemAlloc_v2(uint64_t *at, size_t size) {
    CALL(1);
    for (int i = 0; i < 4096; i++) if (!gpu[i].at) { gpu[i].at = calloc(1, size); gpu[i].size = size; *at = (uint64_t)gpu[i].at; alive++; return 0; }
    return 2;
}
int cuMemFree_v2(uint64_t at) {
    CALL(1);
    for (int i = 0; i < 4096; i++) if ((uint64_t)gpu[i].at == at) { free(gpu[i].at); gpu[i].at = NULL; alive--; return 0; }
    return 1;
}
int cuMemAllocHost_v2(void **at, size_t size) { CALL(1); *at = calloc(1, size); alive++; return 0; }
int cuMemFreeHost(void *at) { CALL(1); free(at); alive--; return 0; }
int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t size, void *s) {
    CALL(1);
    if (!given((char *)to, size)) return 1;
    put(s, COPY, (void *)to, from, size);
    return 0;
}
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t size, void *s) {
    CALL(1);
    if (!given((char *)from, size)) return 1;
    put(s, COPY, to, (void *)from, size);
    return 0;
}
int cuStreamCreate(void **s, unsigned f) { (void)f; CALL(1); *s = calloc(1, sizeof(stream)); alive++; return 0; }
int cuStreamDestroy_v2(void *s) { CALL(1); free(s); alive--; return 0; }
int cuStreamSynchronize(void *s) { CALL(1); return ((stream *)s)->capturing ? 900 : 0; }
int cuStreamBeginCapture_v2(void *s, int mode) { CALL(1); if (mode != 1) return 1; ((stream *)s)->capturing = 1; return 0; }
int cuStreamEndCapture(void *at, void **g) {
    stream *s = at;
    s->capturing = 0; /* a capture is over however it ends */
    CALL(1);
    graph *made = calloc(1, sizeof *made);
    made->first = s->first;
    s->first = s->last = NULL;
    *g = made;
    alive++;
    return 0;
}
int cuEventCreate(void **e, unsigned f) { (void)f; CALL(1); *e = calloc(1, sizeof(double)); alive++; return 0; }
int cuEventDestroy_v2(void *e) { CALL(1); free(e); alive--; return 0; }
int cuEventRecord(void *e, void *s) { (void)s; CALL(1); *(double *)e = clock_ms; return 0; }
int cuEventElapsedTime(float *ms, void *begin, void *end) { CALL(1); *ms = (float)(*(double *)end - *(double *)begin); return 0; }
int cuGraphInstantiateWithFlags(void **x, void *g, unsigned long long f) {
    (void)f;
    CALL(1);
    graph *made = calloc(1, sizeof *made);
    made->first = ((graph *)g)->first;
    *x = made;
    alive++;
    return 0;
}
int cuGraphDestroy(void *g) { CALL(1); free(g); alive--; return 0; }
int cuGraphLaunch(void *x, void *s) { (void)s; CALL(1); for (const op *o = ((graph *)x)->first; o; o = o->next) run(o); return 0; }
int cuGraphExecDestroy(void *x) { CALL(1); free(x); alive--; return 0; }

/* What an engine's work is: out = 2 in + 1, put into a stream as a kernel is. */
int fake_kernel(void *s, uint64_t from, uint64_t to, size_t count) {
    if (!given((char *)from, count * sizeof(float)) || !given((char *)to, count * sizeof(float))) return 1;
    put(s, KERNEL, (void *)to, (void *)from, count * sizeof(float));
    return 0;
}
