/* Stands in for libnvidia-ml.so.1: answers as NVML's interface is documented, from a card that is busy, warm and held back. Built by test_nvml.py. */
#include <stdio.h>
#include <string.h>

typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned long long reference, violation; } violation_t;
typedef struct { unsigned int pid; unsigned long long memory; unsigned int gpu, compute; } process_t;
static int card, slower;
static unsigned long long millijoules = 5000;

int nvmlInit_v2(void) { return BROKEN; }
#ifndef SLOT
#define SLOT "0000:41:00.0"
#endif
#ifdef TWO
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **handle) { *handle = index ? &card : &slower; return index < 2 ? 0 : 2; }
#else
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 1; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **handle) { *handle = &card; return index == 0 ? 0 : 2; }
#endif
int nvmlDeviceGetHandleByPciBusId_v2(const char *slot, void **handle) { *handle = &card; return strcmp(slot, SLOT) ? 2 : 0; }
static int known(void *handle) { return handle == (void *)&card || handle == (void *)&slower ? 0 : 2; }

int nvmlSystemGetDriverVersion(char *text, unsigned int size) { snprintf(text, size, "580.65.06"); return 0; }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 13020; return 0; }
int nvmlDeviceGetName(void *handle, char *text, unsigned int size) { snprintf(text, size, handle == (void *)&slower ? "NVIDIA Example 100" : "NVIDIA Example 4000"); return known(handle); }
int nvmlDeviceGetCudaComputeCapability(void *handle, int *major, int *minor) { *major = 8; *minor = 9; return known(handle); }
int nvmlDeviceGetMemoryInfo(void *handle, memory_t *memory) {
  memory->total = 25769803776ULL; memory->free = 20000000000ULL; memory->used = 5769803776ULL; return known(handle);
}
int nvmlDeviceGetClockInfo(void *handle, unsigned int kind, unsigned int *mhz) { *mhz = kind == 0 ? 2520 : kind == 2 ? 10501 : 1; return known(handle); }
int nvmlDeviceGetTemperature(void *handle, unsigned int sensor, unsigned int *celsius) { *celsius = 71; return sensor == 0 ? known(handle) : 2; }
#ifdef OLD
int nvmlDeviceGetCurrentClocksThrottleReasons(void *handle, unsigned long long *bits) { *bits = 0x60 | 0x1; return known(handle); }
typedef struct { unsigned int pid; unsigned long long memory; } first_t;
int nvmlDeviceGetComputeRunningProcesses(void *handle, unsigned int *count, first_t *found) {
  if (*count < 1) { *count = 1; return 7; }
  *count = 1; found[0].pid = 77; found[0].memory = 5; return known(handle);
}
#else
int nvmlDeviceGetCurrentClocksEventReasons(void *handle, unsigned long long *bits) { *bits = 0x4 | 0x1 | 0x2; return known(handle); }
int nvmlDeviceGetViolationStatus(void *handle, int policy, violation_t *told) {
  if (policy == 3) return 3;
  told->reference = 1; told->violation = policy == 0 ? 123456789ULL : 0; return known(handle);
}
int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *told) { millijoules += 2500; *told = millijoules; return known(handle); }
int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned int *count, process_t *found) {
  unsigned int n = 100, i;
  if (*count < n) { *count = n; return 7; }
  for (i = 0; i < n; i++) { memset(&found[i], 0, sizeof *found); found[i].pid = 1000 + i; found[i].memory = i; found[i].gpu = found[i].compute = ~0u; }
  *count = n; return known(handle);
}
#endif
