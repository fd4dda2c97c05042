/*
 * The clocks of a load and of the server under it, latencies, and the report of both as one line of JSON.
 */
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const uint64_t SECOND = 1000000000u;

static uint32_t *latencies;  /* nanoseconds, of the measured answers */
static long latencyCount;
static bool measuring;

static uint64_t readClock(clockid_t clock) {
    struct timespec t;
    if (clock_gettime(clock, &t)) die("clock");
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* The CPU time of all threads of the server, ended ones too, to the nanosecond; 0 without --pid. */
static uint64_t serverCPU(void) {
    clockid_t clock;
    if (!settings.pid) return 0;
    if (clock_getcpuclockid((pid_t)settings.pid, &clock)) die("no such process as --pid says");
    return readClock(clock);
}

/*
 * Another process's CPU clock is only brought up to date when it stops running or at a tick: it is read
 * when the server has had the time to fall asleep.
 */
struct moment { uint64_t at, server, self; long finished; };

static struct moment look(long finished) {
    struct timespec settling = { 0, 2000000 };
    clock_nanosleep(CLOCK_MONOTONIC, 0, &settling, NULL);
    return (struct moment){ .server = serverCPU(), .self = readClock(CLOCK_PROCESS_CPUTIME_ID),
        .at = readClock(CLOCK_MONOTONIC), .finished = finished };
}

static void stayOnCPU(void) {
    cpu_set_t cpus;
    if (settings.cpu < 0) return;
    CPU_ZERO(&cpus);
    CPU_SET((size_t)settings.cpu, &cpus);
    if (sched_setaffinity(0, sizeof cpus, &cpus)) die("--cpu");
}

static void keepLatency(uint64_t took) {
    if (measuring && latencyCount < settings.requests)
        latencies[latencyCount++] = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
}

static int byValue(const void *one, const void *other) {
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

static double percentile(double share) {
    return latencyCount ? latencies[(long)(share * (double)(latencyCount - 1))] / 1e3 : 0;
}

/* Latencies and times are of the measured window; outcomes are of the whole run, so that nothing hides. */
static void report(const struct moment *begin, const struct moment *end, long separate, long bodies,
                   const char *const *names, const long *counts, int outcomes) {
    double seconds = (double)(end->at - begin->at) / 1e9;
    long errors = 0, measured = end->finished - begin->finished;
    double each = measured ? 1e3 * (double)measured : 1;
    for (int i = 1; i < outcomes; i++) errors += counts[i];
    qsort(latencies, (size_t)latencyCount, sizeof *latencies, byValue);
    printf("{\"requests\": %ld, \"seconds\": %.6f, \"rate\": %.1f, ", measured, seconds,
           seconds > 0 ? (double)measured / seconds : 0);
    if (settings.pid) printf("\"serverMicros\": %.4f, ", (double)(end->server - begin->server) / each);
    else printf("\"serverMicros\": null, ");
    printf("\"loadMicros\": %.4f, ", (double)(end->self - begin->self) / each);
    printf("\"p50\": %.1f, \"p99\": %.1f, \"slowest\": %.1f, ", percentile(0.5), percentile(0.99), percentile(1));
    printf("\"separate\": %ld, \"bodies\": %ld, \"errors\": %ld, \"outcomes\": {", separate, bodies, errors);
    for (int i = 0; i < outcomes; i++) printf("%s\"%s\": %ld", i ? ", " : "", names[i], counts[i]);
    printf("}}\n");
}
