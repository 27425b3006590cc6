/* An NVML that answers as a GB10's does: no memory figure, no power limit; two processes, one without a figure. */
#include <string.h>
typedef struct { unsigned gpu, memory; } utilization;
typedef struct { unsigned long long total, free, used; } memory;
typedef struct { unsigned long long reference, violation; } violation;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, instance; } process;
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = 1; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **d) { *d = (void *)0x1122334455667788; return i; }
static int is_ours(void *d) { return d == (void *)0x1122334455667788; }
int nvmlDeviceGetName(void *d, char *s, unsigned n) { strncpy(s, "NVIDIA GB10", n); return !is_ours(d); }
int nvmlSystemGetDriverVersion(char *s, unsigned n) { strncpy(s, "580.95.05", n); return 0; }
int nvmlDeviceGetUtilizationRates(void *d, utilization *u) { u->gpu = 96; u->memory = 0; return !is_ours(d); }
int nvmlDeviceGetTemperature(void *d, unsigned sensor, unsigned *t) { *t = 61; return sensor; }
int nvmlDeviceGetPowerUsage(void *d, unsigned *mw) { *mw = 21410; return 0; }
int nvmlDeviceGetClockInfo(void *d, unsigned kind, unsigned *mhz) { *mhz = 2522; return kind != 1; }
int nvmlDeviceGetMaxClockInfo(void *d, unsigned kind, unsigned *mhz) { *mhz = 3003; return kind != 1; }
int nvmlDeviceGetMemoryInfo(void *d, memory *m) { m->total = 0; return 3; /* NVML_ERROR_NOT_SUPPORTED */ }
int nvmlDeviceGetViolationStatus(void *d, unsigned kind, violation *v) { v->reference = 1; v->violation = 1000 + kind; return 0; }
int nvmlDeviceGetComputeRunningProcesses_v3(void *d, unsigned *n, process *p) {
  if (*n < 2) return 7;
  p[0].pid = 1; p[0].used = 19135ULL << 20; p[1].pid = 999999999; p[1].used = ~0ULL; *n = 2; return 0;
}
